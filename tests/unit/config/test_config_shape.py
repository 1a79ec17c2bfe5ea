"""Objects below lists and maps of names: their keys, their paths, what is found in them."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field

from twinroot.config.checks import check
from twinroot.config.decode import decode
from twinroot.config.problems import Finding, KeyPath
from twinroot.config.scalars import Between
from twinroot.config.section import Section, UnreadableError
from twinroot.config.shape import depth_of, fields_at, inner_model, is_list, paths_of, sections_in
from twinroot.config.yaml import parse


class Leaf(Section):
    size: Annotated[int, Between(1, 9)] = 1

    def check(self) -> list[Finding]:
        return [Finding(("size",), "two")] if self.size == 2 else []


class Strict(Section):
    needed: Annotated[int, Between(1, 9)]
    other: Annotated[int, Between(1, 9)] = 1


class Lists(Section):
    empty_lists = True

    entries: tuple[Leaf, ...]


class Top(Section):
    one: Leaf | None = None
    some: tuple[Leaf, ...] = ()
    named: dict[str, Leaf] = Field(default_factory=dict)
    deep: tuple[dict[str, Leaf], ...] = ()
    strict: Strict | None = None
    lists: Lists | None = None
    plain: dict[str, int] = Field(default_factory=dict)


PATHS: list[KeyPath] = [
    ("one",), ("one", "size"), ("some",), ("some", 0, "size"), ("named",), ("named", "*", "size"), ("deep",),
    ("deep", 0, "*", "size"), ("strict",), ("strict", "needed"), ("strict", "other"), ("lists",), ("lists", "entries"),
    ("lists", "entries", 0, "size"), ("plain",),
]  # fmt: skip


def test_paths() -> None:
    assert list(paths_of(Top)) == PATHS


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ((), list(Top.model_fields)),
        (("one",), ["size"]),
        (("some", 3), ["size"]),
        (("named", "a"), ["size"]),
        (("deep", 0, "a"), ["size"]),
        (("plain", "a"), []),
        (("named", 0), []),
        (("one", "size", "x"), []),
        (("absent", "x"), []),
    ],
)
def test_keys_of_the_object_at_a_path(path: KeyPath, keys: list[str]) -> None:
    assert list(fields_at(Top, path)) == keys


@pytest.mark.parametrize(("name", "depth"), [("one", 0), ("some", 1), ("named", 1), ("deep", 2), ("plain", 1)])
def test_containers(name: str, depth: int) -> None:
    annotation = Top.model_fields[name].annotation
    assert depth_of(annotation) == depth
    assert inner_model(annotation) is (None if name == "plain" else Leaf)
    assert is_list(annotation) is (name in ("some", "deep"))


def found(text: str) -> list[tuple[str, str]]:
    document = parse(text.encode(), "f")
    decoded = decode(document, Top)
    problems = [*decoded.problems, *check(document, decoded.model, ())]
    return sorted((problem.key, problem.message) for problem in problems)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("named: {a: {size: 2}, b: {size: 3}}", [("named.a.size", "two")]),
        ("deep: [{a: {size: 2}}, {b: {size: 2}}]", [("deep[0].a.size", "two"), ("deep[1].b.size", "two")]),
        ("named: {a: {size: x}, b: {size: 2}}", [("named.a.size", "'x' is not a whole number"), ("named.b.size",
        "two")]),
        ("deep: [{a: {size: x}, b: {size: 2}}]", [("deep[0].a.size", "'x' is not a whole number"),
            ("deep[0].b.size", "two")]),
        ("named: {a: {sise: 2}}", [("named.a.sise", "unknown key 'sise'")]),
        ("named: [a]", [("named", "expected a mapping (lines of 'key: value'), found a list")]),
        ("lists: {entries: }", []),
        ("lists: {}", [("lists.entries", "this key is required and missing")]),
        ("strict: {neded: 3}", [("strict.neded", "unknown key 'neded'")]),
        ("strict: {neded: 3, Needed: 4}", [("strict.Needed", "unknown key 'Needed'"), ("strict.neded",
            "unknown key 'neded'")]),
        ("strict: {othr: 3}", [("strict.needed", "this key is required and missing"), ("strict.othr",
            "unknown key 'othr'")]),
    ],
)  # fmt: skip
def test_what_is_wrong_below_maps(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


def test_what_is_wrong_is_missing_from_its_object() -> None:
    decoded = decode(parse(b"strict: {needed: x, other: 2}\none: {size: 3}", "f"), Top)
    assert decoded.broken == {("strict", "needed")}
    assert decoded.model.one == Leaf(size=3)
    strict = decoded.model.strict
    assert strict is not None
    assert strict.other == 2
    with pytest.raises(UnreadableError):
        _ = strict.needed
    with pytest.raises(AttributeError):
        _ = strict.nothing_of_this_name  # type: ignore[attr-defined]


def test_sections_in_values() -> None:
    value = Top(one=Leaf(), deep=({"a": Leaf(size=3)},))
    assert [path for path, _ in sections_in(value.deep)] == [(0, "a")]
    assert [path for path, _ in sections_in(value.one)] == [()]
    assert list(sections_in(value.plain)) == []
