"""A configuration as YAML text again, each value with the place it comes from. Pure.

Values stay as they were written (`0644`, `3.0`); quotes appear only where YAML needs them.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from pathlib import Path

import yaml
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from twinroot.config.document import Document, Items, Mapping, Node, Place, Scalar, child, is_null, line_of
from twinroot.config.problems import KeyPath
from twinroot.config.yaml import NULLS, parse

_WIDTH = 1_000_000  # never fold: origins stand at the ends of lines


def as_yaml(document: Document, *, origins: bool) -> str:
    """The document as YAML; with `origins`, a comment `file:line` behind every value."""
    events = [StreamStartEvent(), DocumentStartEvent(), *_events(document.root), DocumentEndEvent(), StreamEndEvent()]
    text = yaml.emit(events, Dumper=yaml.SafeDumper, width=_WIDTH, allow_unicode=True)
    text = text.removesuffix("...\n")
    return _with_origins(text, document.root) if origins else text


def origins_of(document: Document) -> dict[KeyPath, Place]:
    """The place of every single value, and of empty lists and objects."""
    return {path: node.place for path, node in _leaves(document.root, ())}


def relative_to(document: Document, paths: dict[KeyPath, str], directory: Path) -> Document:
    """The document with the values of `paths` rewritten, from the directories of their files to `directory`."""
    return Document(_rewritten(document.root, (), paths, directory))


def _rewritten(node: Node, path: KeyPath, paths: dict[KeyPath, str], directory: Path) -> Node:
    if isinstance(node, Scalar):
        if path not in paths or node.text is None or Path(node.text).is_absolute():
            return node
        own = node.place.source.directory
        same = own.resolve() == directory.resolve()
        text = node.text if same else os.path.relpath(own / node.text, directory)
        return Scalar(node.place, text)
    if isinstance(node, Items):
        items = (_rewritten(item, (*path, index), paths, directory) for index, item in enumerate(node.items))
        return Items(node.place, tuple(items))
    values = {key: _rewritten(value, (*path, key), paths, directory) for key, value in node.values.items()}
    return Mapping(node.place, values, node.keys)


def _events(node: Node) -> Iterator[Event]:
    if isinstance(node, Scalar):
        yield _scalar(node.text)
    elif isinstance(node, Items):
        yield SequenceStartEvent(None, None, implicit=True, flow_style=not node.items)
        for item in node.items:
            yield from _events(item)
        yield SequenceEndEvent()
    else:
        yield MappingStartEvent(None, None, implicit=True, flow_style=not node.values)
        for key, value in node.values.items():
            yield _scalar(key)
            yield from _events(value)
        yield MappingEndEvent()


def _scalar(text: str | None) -> ScalarEvent:
    if text is None:
        return ScalarEvent(None, None, (True, True), "null")
    return ScalarEvent(None, None, (True, True), text, style=_style(text))


def _style(text: str) -> str | None:
    """Quotes where the text alone would be something else, a block for several lines, else what YAML allows."""
    if not text.replace("\n", "").isprintable():
        return '"'  # it escapes what may not stand there, other kinds of line breaks among it
    if text in (*NULLS, "<<"):
        return "'"
    return "|" if "\n" in text else None


def _leaves(node: Node, path: KeyPath) -> Iterator[tuple[KeyPath, Node]]:
    if isinstance(node, Items) and node.items:
        for index, item in enumerate(node.items):
            yield from _leaves(item, (*path, index))
    elif isinstance(node, Mapping) and node.values:
        for key, value in node.values.items():
            yield from _leaves(value, (*path, key))
    elif not is_null(node):
        yield path, node


def _with_origins(text: str, root: Node) -> str:
    """Add the comments: where a value stands in the new text is found by reading it again."""
    lines = text.splitlines()
    again = parse(text.encode(), "").root
    notes: dict[int, str] = {}
    for path, node in _leaves(root, ()):
        here: Node | None = again
        for step in path:
            here = child(here, step) if here else None
        if here:
            line, _ = line_of(text, here.place.offset)
            notes.setdefault(line, f"{node.place.source.file}:{node.place.line}")
    column = min(max((len(lines[line - 1]) for line in notes), default=0), 60)
    for line, note in notes.items():
        lines[line - 1] = f"{lines[line - 1]:<{column}}  # {note}"
    return "\n".join(lines) + "\n"
