"""Configurations as text again: the same values, and where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinroot.config.document import Document, Node, plain
from twinroot.config.problems import KeyPath
from twinroot.config.show import as_yaml, origins_of, relative_to
from twinroot.config.yaml import parse
from twinroot.errors import ConfigError


def document(text: str, file: str = "a.yaml") -> Document:
    return parse(text.encode(), file)


@pytest.mark.parametrize(
    "text",
    [
        "a: 0644\n",
        "version: 3.0\n",
        "a: 'null'\n",
        "a: ''\n",
        "a: '~'\n",
        "a: null\n",
        "list:\n- a\n- b: c\n  d: e\n- []\n- {}\n",
        "script: |\n  one\n  two\n",
        "script: |\n  one\n   two\n\n  # three\n",
        "a: '# no comment'\n",
        "a: 'b: c'\n",
        "a: é日\n",
    ],
)
def test_text_stays_as_it_is(text: str) -> None:
    assert as_yaml(document(text), origins=False) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('a: "b"', "a: b\n"),
        ("{a: [b, c]}", "a:\n- b\n- c\n"),
        ("a: &x [1]\nb: *x", "a:\n- 1\nb:\n- 1\n"),
        ("base: &b {x: 1}\nc: {<<: *b, y: 2}", "base:\n  x: 1\nc:\n  y: 2\n  x: 1\n"),
    ],
)
def test_other_spellings(text: str, shown: str) -> None:
    assert as_yaml(document(text), origins=False) == shown


def test_origins() -> None:
    text = "os:\n  hostname: a\n  list: [b,\n    c]\n  text: |\n    x\n    y\n"
    assert as_yaml(document(text, "dir/a.yaml"), origins=True) == (
        "os:\n"
        "  hostname: a  # dir/a.yaml:2\n"
        "  list:\n"
        "  - b          # dir/a.yaml:3\n"
        "  - c          # dir/a.yaml:4\n"
        "  text: |      # dir/a.yaml:5\n"
        "    x\n"
        "    y\n"
    )


def test_places_of_values() -> None:
    found = origins_of(document("a:\n  b: c\n  d: []\n  e: ~\n"))
    assert {path: place.line for path, place in found.items()} == {("a", "b"): 2, ("a", "d"): 3}


def test_paths_are_rewritten_from_the_directory_of_their_file(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    made = parse(b"a: x/y\nb: /abs\nc: x/y\n", str(tmp_path / "base/b.yaml"))
    paths: dict[KeyPath, str] = {("a",): "x/y", ("b",): "/abs"}
    assert plain(relative_to(made, paths, tmp_path).root) == {"a": "base/x/y", "b": "/abs", "c": "x/y"}
    assert plain(relative_to(made, paths, tmp_path / "base").root) == {"a": "x/y", "b": "/abs", "c": "x/y"}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TREES = st.recursive(
    TEXTS | st.none(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
    max_leaves=10,
)


def node(value: object) -> Node:
    """A tree of nodes that holds a value of lists, dicts and text."""
    return parse(as_flow(value).encode(), "made.yaml").root


def as_flow(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(as_flow, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"? {as_flow(key)} : {as_flow(item)}" for key, item in value.items()) + "}"
    return "null" if value is None else '"' + "".join(f"\\U{ord(char):08x}" for char in str(value)) + '"'


@given(st.dictionaries(TEXTS, TREES, min_size=1, max_size=3), st.booleans())
def test_what_is_shown_reads_as_the_same(value: dict[str, object], origins: bool) -> None:
    try:
        made = Document(node(value))
    except ConfigError:
        return  # a character that YAML cannot hold
    again = parse(as_yaml(made, origins=origins).encode(), "again.yaml")
    assert plain(again.root) == plain(made.root)
