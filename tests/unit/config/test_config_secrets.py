"""Passwords of a configuration are in no message and in no source line that is shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twinroot.cli.frame import problem_text
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
