"""YAML text to a tree of nodes that keep source text and place (image-config spec, section 1).

Scalars stay text: what `0644` or `3.0` means is decided by whoever knows the field. Reading is bounded in size,
nesting and expanded nodes, so an alias bomb is an ordinary error. Only the first document of a stream is read, and
another one is a warning. Anchors, aliases and merge keys work; a shared node keeps the place of its anchor.

Not here: types, key names, sections (`decode`). Every failure is a ConfigError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamStartEvent,
)
from yaml.reader import ReaderError

from twinroot.config.document import Document, Items, Mapping, Node, Place, Scalar, Source, line_of
from twinroot.config.problems import quoted
from twinroot.config.secrets import problem_while_reading
from twinroot.errors import ConfigError, Problem

MAX_BYTES = 16 * 1024 * 1024
MAX_NODES = 40_000
NODE_TEXT = 1024  # characters; a long text counts as several nodes, so that aliases cannot multiply it
MAX_DEPTH = 64
MAX_MISTAKES = 100
MAX_TAG_DIRECTIVES = 16  # libyaml compares each with all before it

NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_NULL_TAG = "tag:yaml.org,2002:null"
_TEXT_TAGS = frozenset(("!", "tag:yaml.org,2002:str"))
_OTHER_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "timestamp", "map", "seq")
)


def read_document(path: Path) -> Document:
    """Read and parse a YAML file; ConfigError when it cannot be read or is not YAML."""
    return parse(read_file(path), str(path))


def read_file(path: Path) -> bytes:
    """The bytes of a YAML file, as many as are needed to see that it is too large; ConfigError when there are none."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _whole_file(file, "there is no such file") from None
    except IsADirectoryError:
        raise _whole_file(file, "this is a directory, a YAML file is wanted") from None
    except PermissionError:
        raise _whole_file(file, "the file may not be read: permission denied") from None
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise _whole_file(file, f"the file cannot be read: {reason}") from None


def parse(data: bytes, file: str) -> Document:
    """Parse the first document of `data`; `file` is the name to show. ConfigError when it is not valid YAML."""
    if len(data) > MAX_BYTES:
        raise _whole_file(file, f"the file is larger than {MAX_BYTES // 1024**2} MiB, so it cannot be a configuration")
    text = _decode(data, file)
    if len(re.findall(r"^%TAG", text, re.MULTILINE)) > MAX_TAG_DIRECTIVES:
        raise _whole_file(file, "there are too many %TAG directives")
    source = Source(file, text)
    composer = _Composer(source)
    try:
        root = composer.root()
    except ReaderError as error:
        # libyaml counts bytes of UTF-8 here.
        offset = len(text.encode()[: error.position].decode(errors="ignore"))
        raise ConfigError([Place(source, offset).problem("", "this character is not allowed in YAML")]) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_problem(source, error)]) from None
    return Document(root, tuple(composer.mistakes), tuple(composer.warnings))


def _whole_file(file: str, message: str, hint: str | None = None) -> ConfigError:
    return ConfigError([Problem(file, 0, 0, "", message, hint)])


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="ignore")
        line, start = line_of(before, len(before))
        message = f"the file is not UTF-8 text: byte 0x{data[error.start]:02x} cannot stand here"
        problem = Problem(file, line, len(before) - start + 1, "", message, "save the file as UTF-8")
        raise ConfigError([problem]) from None


def _syntax_problem(source: Source, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    offset = min(mark.index, len(source.text)) if mark else 0
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    hint = "YAML does not allow tabs for indentation; use spaces" if source.text[offset : offset + 1] == "\t" else None
    return problem_while_reading(Place(source, offset), f"this is not valid YAML: {reason}", hint)


@dataclass(frozen=True, slots=True)
class _Anchored:
    """What an alias may stand for: the node with its expanded size and its height in nodes."""

    node: Node
    size: int
    height: int


class _Composer:
    """Builds nodes from libyaml's events; one use for one text.

    Working from events rather than from PyYAML's composed nodes keeps nesting and expansion under our control: the
    composer in C recurses without a limit.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parser = CParser(source.text)
        self._anchors: dict[str, _Anchored | None] = {}
        self._nodes = 0
        self.mistakes: list[Problem] = []
        self.warnings: list[Problem] = []

    def root(self) -> Node:
        event = self._next()
        while isinstance(event, (StreamStartEvent, DocumentStartEvent)):
            event = self._next()
        if not isinstance(event, (ScalarEvent, SequenceStartEvent, MappingStartEvent, AliasEvent)):
            raise self._empty()
        root = self._node(event, 1).node
        end = self._next()
        if isinstance(end, DocumentEndEvent) and not end.explicit:
            self._warn_of_others(self._next())  # text that belongs to no document is an error, not ignored
        else:
            self._warn_of_others(self._ignored(warn=True))
        if isinstance(root, Scalar) and root.text is None:
            raise self._empty()
        return root

    def _warn_of_others(self, start: Event | None) -> None:
        """Warn of the first further document that holds anything, whether or not it is valid."""
        for _ in range(MAX_MISTAKES):
            if not isinstance(start, DocumentStartEvent):
                return
            content = self._ignored()
            if not (isinstance(content, ScalarEvent) and not content.value and content.style in (None, "")):
                self._warn(self._place(start))
                return
            self._ignored()  # the end of the document
            start = self._ignored()

    def _warn(self, place: Place) -> None:
        message = "another YAML document begins here, which is ignored: only the first one of a file is read"
        problem = place.problem("", message, "put everything into one document, or remove it")
        # The line may hold a password, and says no more than that a document begins.
        self.warnings.append(replace(problem, text=None))

    def _ignored(self, *, warn: bool = False) -> Event | None:
        """The next event of what nobody reads; None where there is none, or it is not YAML, as a warning may say."""
        try:
            return self._parser.get_event()
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            if warn and mark:
                self._warn(Place(self._source, min(mark.index, len(self._source.text))))
            return None

    def _empty(self) -> ConfigError:
        return _whole_file(self._source.file, "the file is empty", "write {} for a configuration without settings")

    def _next(self) -> Event:
        event = self._parser.get_event()
        if event is None:  # after the end of the stream, which the composer never passes
            raise self._empty()
        return event

    def _stop(self, event: Event, message: str, hint: str | None = None) -> ConfigError:
        return ConfigError([*self.mistakes, problem_while_reading(self._place(event), message, hint)])

    def _count(self, event: Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            counted = "counting each use of an alias and each KiB of text"
            raise self._stop(event, f"the file holds more than {MAX_NODES} values, {counted}")

    def _node(self, event: Event, depth: int) -> _Anchored:
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        if depth > MAX_DEPTH:
            raise self._stop(event, f"the file is nested more than {MAX_DEPTH} levels deep")
        size = 1 + len(event.value) // NODE_TEXT if isinstance(event, ScalarEvent) else 1
        self._count(event, size)
        self._check_tag(event)
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None
        if isinstance(event, ScalarEvent):
            made = _Anchored(self._scalar(event), size, 1)
        elif isinstance(event, SequenceStartEvent):
            made = self._items(event, depth)
        else:
            assert isinstance(event, MappingStartEvent)
            made = self._mapping(event, depth)
        if anchor is not None:
            self._anchors[anchor] = made
        return made

    def _alias(self, event: AliasEvent, depth: int) -> _Anchored:
        name = event.anchor
        if name not in self._anchors:
            raise self._stop(event, f"there is no anchor &{name:.60} before this alias")
        anchored = self._anchors[name]
        if anchored is None:
            raise self._stop(event, f"the alias *{name:.60} stands inside the value that it refers to")
        if depth + anchored.height - 1 > MAX_DEPTH:
            raise self._stop(event, f"the file is nested more than {MAX_DEPTH} levels deep")
        self._count(event, anchored.size)
        return anchored

    def _check_tag(self, event: Event) -> None:
        tag: str | None = getattr(event, "tag", None)
        if tag is not None and tag not in _TEXT_TAGS and tag not in _OTHER_TAGS:
            self._mistake(self._place(event), f"the YAML tag {quoted(tag)} is not supported", "remove it")

    def _scalar(self, event: ScalarEvent) -> Scalar:
        place = self._place(event)
        tag = event.tag
        text: str = event.value
        if "\0" in text:
            self._mistake(place, "the value contains a NUL character")
            text = text.replace("\0", "\ufffd")  # whoever looks for a file of that name must be able to
        quoted = tag in _TEXT_TAGS or event.style not in (None, "")
        null = tag == _NULL_TAG or (not quoted and text in NULLS)
        return Scalar(place, None if null else text, quoted)

    def _items(self, event: SequenceStartEvent, depth: int) -> _Anchored:
        items: list[Node] = []
        size = height = 1
        following = self._next()
        while not isinstance(following, SequenceEndEvent):
            below = self._node(following, depth + 1)
            items.append(below.node)
            size += below.size
            height = max(height, below.height + 1)
            following = self._next()
        return _Anchored(Items(self._place(event), tuple(items)), size, height)

    def _mapping(self, event: MappingStartEvent, depth: int) -> _Anchored:
        values: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        merged: list[Mapping] = []
        size = height = 1
        following = self._next()
        while not isinstance(following, MappingEndEvent):
            place = self._place(following)
            is_merge = isinstance(following, ScalarEvent) and following.value == "<<" and following.style in (None, "")
            key_node = self._node(following, depth + 1)
            value = self._node(self._next(), depth + 1)
            size += key_node.size + value.size
            height = max(height, value.height + 1)
            following = self._next()
            if not isinstance(key_node.node, Scalar):
                self._mistake(place, "a key must be a single word or text, not a list or a mapping")
                continue
            key = key_node.node.text or ""
            if key in keys:
                self._duplicate(key, place, keys[key])
                continue
            keys[key] = place
            if is_merge:
                merged.extend(self._to_merge(value.node, place))
            else:
                values[key] = value.node
        _merge(values, keys, merged)
        return _Anchored(Mapping(self._place(event), values, keys), size, height)

    def _to_merge(self, node: Node, place: Place) -> Iterator[Mapping]:
        for part in node.items if isinstance(node, Items) else (node,):
            if isinstance(part, Mapping):
                yield part
            else:
                self._mistake(place, "the merge key << wants a mapping or a list of mappings")

    def _duplicate(self, key: str, place: Place, first: Place) -> None:
        if len(self.mistakes) >= MAX_MISTAKES:
            return  # finding lines takes time
        line, start = first.source.line_of(first.offset)
        hint = f"it is first given at line {line}, column {first.offset - start + 1}"
        self._mistake(place, f"the key {quoted(key)} is given twice", hint)

    def _mistake(self, place: Place, message: str, hint: str | None = None) -> None:
        if len(self.mistakes) < MAX_MISTAKES:
            self.mistakes.append(problem_while_reading(place, message, hint))

    def _place(self, event: Event) -> Place:
        return Place(self._source, event.start_mark.index if event.start_mark else 0)


def _merge(values: dict[str, Node], keys: dict[str, Place], merged: list[Mapping]) -> None:
    """Add what merge keys bring; own keys win, then earlier mappings."""
    if "<<" not in values:  # a quoted "<<" is an ordinary key
        keys.pop("<<", None)
    for mapping in merged:
        for key, node in mapping.values.items():
            if key not in values:
                values[key] = node
                keys[key] = mapping.keys[key]
