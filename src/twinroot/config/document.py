"""A parsed configuration file: nodes that keep source text and place, and problems that point into it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from twinroot.config.problems import KeyPath, show_path
from twinroot.errors import Problem

MAX_SHOWN_LINE = 500  # characters; a longer source line is not repeated in problems

LINE_BREAK = re.compile(r"[\r\n]")


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """One value as written. `text` is None for null, which means "not set". `offset` counts characters."""

    offset: int
    text: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """A list."""

    offset: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """Keys and values in the order of the file; `keys` holds the place of each key."""

    offset: int
    values: dict[str, Node]
    keys: dict[str, int]


Node = Scalar | Items | Mapping


@dataclass(frozen=True, eq=False)
class Document:
    """One parsed file. `mistakes` are problems that did not stop the reading, such as a key given twice."""

    file: str
    text: str
    root: Node
    mistakes: tuple[Problem, ...] = ()

    def find(self, path: KeyPath) -> tuple[Node, int]:
        """The deepest node that exists on the way to `path`, and how many steps of the path lead to it."""
        node = self.root
        for depth, step in enumerate(path):
            below = child(node, step)
            if below is None:
                return node, depth
            node = below
        return node, len(path)

    def problem_at(self, offset: int, key: str, message: str, hint: str | None = None) -> Problem:
        """A problem at a character offset of the text."""
        line, start = line_of(self.text, offset)
        head = self.text[start : start + MAX_SHOWN_LINE + 1]
        found = LINE_BREAK.search(head)
        shown = head[: found.start()] if found else head if len(head) <= MAX_SHOWN_LINE else None
        return Problem(self.file, line, offset - start + 1, key, message, hint, shown)

    def problem(self, path: KeyPath, message: str, hint: str | None = None, *, at: KeyPath | None = None) -> Problem:
        """A problem with the value at `path`, shown there or, when `at` is given, at that path's value.

        What does not exist is shown at the deepest parent that does. A path that leads into a scalar (the short
        form of an object) ends at the scalar.
        """
        node, depth = self.find(path)
        known = path[:depth] if isinstance(node, Scalar) and node.text is not None else path
        place = node if at is None else self.find(at)[0]
        return self.problem_at(place.offset, show_path(known), message, hint)

    def problem_with_key(self, path: KeyPath, message: str, hint: str | None = None) -> Problem:
        """A problem with the key that ends `path` itself, shown at the key."""
        parent, depth = self.find(path[:-1])
        step = path[-1]
        if depth == len(path) - 1 and isinstance(parent, Mapping) and step in parent.keys:
            return self.problem_at(parent.keys[str(step)], show_path(path), message, hint)
        return self.problem(path, message, hint)


def line_of(text: str, offset: int) -> tuple[int, int]:
    """The number (from 1) of the line that holds a character offset, and the offset at which that line starts.

    Lines end as editors have it, at CR, LF or both; libyaml also knows other breaks. Counting anew for each problem
    costs less than a list of all lines, which a file of line breaks would blow up.
    """
    breaks = text.count("\n", 0, offset) + text.count("\r", 0, offset) - text.count("\r\n", 0, offset)
    return breaks + 1, max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def child(node: Node, step: str | int) -> Node | None:
    """The value below `node` at a key or an index, None where there is none."""
    if isinstance(node, Mapping) and isinstance(step, str):
        return node.values.get(step)
    if isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    return None
