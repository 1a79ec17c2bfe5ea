"""A parsed configuration: nodes that keep source text and place, and problems that point into it.

Every node knows the file that it comes from, so a tree may hold values of several files (`merge`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from twinroot.config.problems import KeyPath, show_path
from twinroot.errors import Problem

MAX_SHOWN_LINE = 500  # characters; a longer source line is not repeated in problems

LINE_BREAK = re.compile(r"[\r\n]")

_PART = 64 * 1024  # characters


@dataclass(frozen=True, eq=False)
class Source:
    """A file that was read: the name to show for it, and its text."""

    file: str
    text: str

    @property
    def directory(self) -> Path:
        """The directory that relative paths of the file refer to (image-config spec, section 7)."""
        return Path(self.file).parent

    def line_of(self, offset: int) -> tuple[int, int]:
        """The number (from 1) of the line that holds a character offset, and the offset at which that line starts."""
        part = offset // _PART
        line = self._breaks_before[part] + _breaks(self.text, part * _PART, offset) + 1
        newline = self.text.rfind("\n", 0, offset)
        return line, max(newline, self.text.rfind("\r", newline + 1, offset)) + 1

    @cached_property
    def _breaks_before(self) -> tuple[int, ...]:
        """How many line breaks come before each part of the text: a list of all lines could fill the memory."""
        counts = (_breaks(self.text, start, start + _PART) for start in range(0, len(self.text), _PART))
        return tuple(accumulate(counts, initial=0))


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where something stands. `offset` counts characters."""

    source: Source
    offset: int

    @property
    def line(self) -> int:
        """The line number, from 1."""
        return self.source.line_of(self.offset)[0]

    def problem(self, key: str, message: str, hint: str | None = None) -> Problem:
        """A problem at this place."""
        text = self.source.text
        line, start = self.source.line_of(self.offset)
        head = text[start : start + MAX_SHOWN_LINE + 1]
        found = LINE_BREAK.search(head)
        shown = head[: found.start()] if found else head if len(head) <= MAX_SHOWN_LINE else None
        return Problem(self.source.file, line, self.offset - start + 1, key, message, hint, shown)


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """One value as written. `text` is None for null, which means "not set"; `quoted` says that it can only be text."""

    place: Place
    text: str | None
    quoted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """A list."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """Keys and values in the order of the file; `keys` holds the place of each key."""

    place: Place
    values: dict[str, Node]
    keys: dict[str, Place]


Node = Scalar | Items | Mapping


@dataclass(frozen=True, eq=False)
class Document:
    """A tree of nodes. `mistakes` are problems that did not stop the reading, such as a key given twice.

    `warnings` are what is allowed and probably not meant.
    """

    root: Node
    mistakes: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    def find(self, path: KeyPath) -> tuple[Node, int]:
        """The deepest node that exists on the way to `path`, and how many steps of the path lead to it."""
        node = self.root
        for depth, step in enumerate(path):
            below = child(node, step)
            if below is None:
                return node, depth
            node = below
        return node, len(path)

    def problem(self, path: KeyPath, message: str, hint: str | None = None, *, at: KeyPath | None = None) -> Problem:
        """A problem with the value at `path`, shown there.

        What does not exist is shown at the value of `at`, or at the deepest parent that does. A path that leads into
        a scalar (the short form of an object) ends at the scalar.
        """
        node, depth = self.find(path)
        known = path[:depth] if isinstance(node, Scalar) and node.text is not None else path
        shown = node if at is None or depth == len(path) else self.find(at)[0]
        return shown.place.problem(show_path(known), message, hint)

    def problem_with_key(self, path: KeyPath, message: str, hint: str | None = None) -> Problem:
        """A problem with the key that ends `path` itself, shown at the key."""
        parent, depth = self.find(path[:-1])
        step = path[-1]
        if depth == len(path) - 1 and isinstance(parent, Mapping) and step in parent.keys:
            return parent.keys[str(step)].problem(show_path(path), message, hint)
        return self.problem(path, message, hint)


def is_null(node: Node) -> bool:
    """Whether a node is null, which means "not set"."""
    return isinstance(node, Scalar) and node.text is None


class Quoted(str):
    """Text that was in quotes: where values have no fixed type, it is no number and no switch."""

    __slots__ = ()


def plain(node: Node) -> object:
    """The tree as dicts, lists, text (in quotes or not) and None."""
    if isinstance(node, Scalar):
        return Quoted(node.text) if node.quoted and node.text is not None else node.text
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.values.items()}


def line_of(text: str, offset: int) -> tuple[int, int]:
    """The number (from 1) of the line that holds a character offset, and the offset at which that line starts."""
    return Source("", text).line_of(offset)


def _breaks(text: str, start: int, end: int) -> int:
    """How many line breaks end between two offsets.

    Lines end as editors have it, at CR, LF or both; libyaml also knows other breaks.
    """
    pairs = text.count("\r\n", max(start - 1, 0), end)
    return text.count("\n", start, end) + text.count("\r", start, end) - pairs


def child(node: Node, step: str | int) -> Node | None:
    """The value below `node` at a key or an index, None where there is none."""
    if isinstance(node, Mapping) and isinstance(step, str):
        return node.values.get(step)
    if isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    return None
