"""`os.modules`: what becomes of the three files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twinroot.config.image.modules import Module
from twinroot.errors import InputError
from twinroot.system.modules import ModuleFiles, apply_modules, configure

DISABLED = "# nbd is odd\nblacklist nbd2\nblacklist nbd\nblacklist nbd_extra\n"


def module(mode: str | None = None, **options: str) -> Module:
    given: dict[str, Any] = {"name": "nbd", "load_mode": mode, "options": options}
    return Module(**given)


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        (ModuleFiles(), module(), ModuleFiles()),
        (ModuleFiles(), module("inherit"), ModuleFiles()),
        (ModuleFiles(), module("auto"), ModuleFiles()),
        (ModuleFiles(), module("always"), ModuleFiles(load="nbd\n")),
        (ModuleFiles(load="a\nnbd"), module("always"), ModuleFiles(load="a\nnbd")),
        (ModuleFiles(load="nbd2\n#nbd"), module("always"), ModuleFiles(load="nbd2\n#nbd\nnbd\n")),
        (ModuleFiles(), module("disable"), ModuleFiles(disabled="blacklist nbd\n")),
        (ModuleFiles(disabled="blacklist  nbd"), module("disable"), ModuleFiles(disabled="blacklist  nbd")),
        (ModuleFiles(disabled=DISABLED), module("auto"), ModuleFiles(disabled=DISABLED.replace("blacklist nbd\n", ""))),
        (ModuleFiles(disabled="blacklist nbd\n"), module("always"), ModuleFiles(load="nbd\n")),
        (ModuleFiles(load="a\nnbd\n"), module("auto"), ModuleFiles(load="a\n")),
        (ModuleFiles(load="nbd\n"), module("disable"), ModuleFiles(disabled="blacklist nbd\n")),
        (ModuleFiles(), module(b="1", a="2"), ModuleFiles(options="options nbd b=1 a=2\n")),
        (
            ModuleFiles(options="options nbd2 a=1\noptions nbd flag a=1 c=3\n"),
            module(b="2", a="0"),
            ModuleFiles(options="options nbd2 a=1\noptions nbd flag a=0 c=3 b=2\n"),
        ),
        (
            ModuleFiles(options="options nbd \\\n  a=1\noptions nbd b=1\n"),
            module(b="2", d="4"),
            ModuleFiles(options="options nbd a=1\noptions nbd b=2 d=4\n"),
        ),
        (ModuleFiles(disabled="blacklist nbd2\n"), module(a="1"),
            ModuleFiles(disabled="blacklist nbd2\n", options="options nbd a=1\n")),
        (ModuleFiles(disabled="blacklist nbd\n"), module("auto", a="1"), ModuleFiles(options="options nbd a=1\n")),
    ],
)  # fmt: skip
def test_one_module(before: ModuleFiles, change: Module, after: ModuleFiles) -> None:
    assert configure(before, [change]) == after


def test_dash_and_underscore_are_the_same() -> None:
    files = ModuleFiles(disabled="blacklist snd-hda-intel\n", options="options snd_hda_intel a=1\n")
    given = Module(name="snd_hda-intel", load_mode="always", options={"a": "2"})
    assert configure(files, [given]) == ModuleFiles(load="snd_hda-intel\n", options="options snd_hda_intel a=2\n")


@pytest.mark.parametrize("mode", [None, "inherit"])
def test_options_of_a_module_that_the_image_disables(mode: str | None) -> None:
    with pytest.raises(InputError, match="the module 'nbd' is disabled in the image"):
        configure(ModuleFiles(disabled=DISABLED), [module(mode, a="1")])


def test_files_of_an_image(tmp_path: Path) -> None:
    (tmp_path / "etc").symlink_to("/usr/etc")
    (tmp_path / "usr/etc/modprobe.d").mkdir(parents=True)
    (tmp_path / "usr/etc/modprobe.d/modules-disabled.conf").write_text("blacklist nbd\n")
    apply_modules(tmp_path, [module("always", a="1")])
    found = {str(path.relative_to(tmp_path / "usr/etc")): path.read_text() for path in tmp_path.rglob("*.conf")}
    assert found == {
        "modules-load.d/modules-load.conf": "nbd\n",
        "modprobe.d/modules-disabled.conf": "",
        "modprobe.d/module-options.conf": "options nbd a=1\n",
    }
