"""What messages say about scripts."""

from __future__ import annotations

import pytest

from twinroot.config.image.scripts import Script
from twinroot.customize.scripts import printable, shown


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (Script(content="x"), "scripts.postCustomization[1]"),
        (Script(path="a/b.sh"), "scripts.postCustomization[1] (a/b.sh)"),
        (Script(path="a/b.sh", name="set up"), "scripts.postCustomization[1] (set up)"),
    ],
)
def test_how_a_script_is_called(script: Script, text: str) -> None:
    assert shown(script, ("scripts", "postCustomization", 1)) == text


@pytest.mark.parametrize(
    ("line", "text"), [("a\tb ä", "a\tb ä"), ("\x1b[2J", "\ufffd[2J"), ("\udcff\x00", "\ufffd\ufffd"), ("", "")]
)
def test_lines_for_any_terminal(line: str, text: str) -> None:
    assert printable(line) == text
