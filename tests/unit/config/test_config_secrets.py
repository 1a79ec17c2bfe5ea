"""Passwords of a configuration are in no message and in no source line that is shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twinroot.cli.frame import problem_text
from twinroot.config.secrets import without_secrets_of_urls
from twinroot.errors import Problem

ProblemsOf = Callable[[str], list[Problem]]


@pytest.mark.parametrize(
    "user",
    [
        "{name: a, password: {type: lockd, value: hunter2}}",
        "{name: a, password: {type: locked, value: hunter2}}",
        "{name: a, password: hunter2}",
        "{name: a, password: [hunter2]}",
        "{name: a, password: {hunter2}}",
        "{name: a, password: {type: hunter2}}",
        "{name: a, password: {value: hunter2}}",
        "{name: a, password: {type: plain-text, value: [hunter2]}}",
        "{name: a, password: {type: plain-text, value: {hunter2: }}}",
        "{name: a, uid: -5, password: {type: plain-text, value: hunter2}}",
        "{name: '', password: {type: plain-text, value: hunter2}, password: 5}",
        """{name: '', password: {type: plain-text, value: 'it''s hunter2'}}""",
        "{name: a, pasword: {type: plain-text, value: hunter2}}",
        "{name: a, Password: hunter2}",
        "{name: a, passwd: [hunter2]}",
        "{name: a, password: , type: plain-text, value: hunter2}",
        "{name: a, password: {type: plain-text, value: hunter2: x}}",
        "{name: a, password: {type: plain-text, value: *hunter2}}",
        "{name: a, password: {type: plain-text, value: !hunter2 x}}",
        "{name: a, password: {type: plain-text, value: %hunter2}}",
        "{name: a, password: {type: plain-text, value: x, value: hunter2}, a: *b}",
    ],
)
def test_passwords_are_never_shown(problems_of: ProblemsOf, user: str) -> None:
    found = problems_of(f"os: {{users: [{user}]}}")
    assert found
    for problem in found:
        assert "hunter2" not in problem_text(problem)
        assert problem.line == 1


def test_other_lines_are_shown(problems_of: ProblemsOf) -> None:
    text = "os:\n  hostname: a_b\n  users:\n  - name: a\n    password: {type: plain-text, value: hunter2}\n    uid: x\n"
    assert [problem.text for problem in problems_of(text)] == ["  hostname: a_b", "    uid: x"]


def test_a_syntax_error_shows_its_line_away_from_passwords(problems_of: ProblemsOf) -> None:
    far = "os:\n  users:\n  - name: a\n    password: {type: plain-text, value: hunter2}\n" + "  #\n" * 12
    for text, shown in (("os:\n  hostname: a: b\n", "  hostname: a: b"), (far + "  x: a: b\n", "  x: a: b")):
        assert [problem.text for problem in problems_of(text)] == [shown]


def test_the_expiry_of_a_password_is_no_secret(problems_of: ProblemsOf) -> None:
    text = "os:\n  users:\n  - name: a\n    passwordExpiresDays: never\n"
    assert [problem.text for problem in problems_of(text)] == ["    passwordExpiresDays: never"]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a: 'https://me:p@ss/wo rd@host/x' is not", "a: 'https://…@host/x' is not"),
        ("'oci://host/a?sig=abc&b=c' (use file)", "'oci://host/a?…' (use file)"),
        ("'https://me:no@host/a?sig=abc'", "'https://…@host/a?…'"),
        ("'https://host/a' is used twice (see user@host)", "'https://…@host)"),
        ("unknown key 'hostNam' (did you mean 'hostname'?)", "unknown key 'hostNam' (did you mean 'hostname'?)"),
    ],
)
def test_secrets_of_urls(words: str, shown: str) -> None:
    """Rather too little is shown than too much."""
    assert without_secrets_of_urls(words) == shown
