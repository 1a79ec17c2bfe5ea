"""Texts of configurations in which « marks the place of a problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twinroot.config.image.config import ImageConfig
from twinroot.config.image.os import Os
from twinroot.errors import Problem

ProblemsOf = Callable[[str], list[Problem]]
ConfigOf = Callable[[str], ImageConfig]
NO_ROOT = "no file system is mounted at /"
"""A problem of many texts that are about other things."""
Wrong = tuple[str, str, str]
"""A text with one mark, the key path of its one problem, the beginning of the message."""


def unmarked(text: str) -> str:
    """The text without marks."""
    return text.replace("«", "")


def places(text: str) -> list[tuple[int, int]]:
    """Line and column of every mark."""
    before, *parts = text.split("«")
    found = []
    for part in parts:
        found.append((before.count("\n") + 1, len(before) - before.rfind("\n")))
        before += part
    return found


def assert_one_problem(found: Sequence[Problem], text: str, key: str, message: str) -> None:
    """There is one problem; it has this key and message, and stands at the mark."""
    assert [(problem.key, problem.message[: len(message)]) for problem in found] == [(key, message)]
    assert [(problem.line, problem.column) for problem in found] == places(text)


def os_of(config: ImageConfig) -> Os:
    """The section `os` of a configuration that has it."""
    assert config.os is not None
    return config.os
