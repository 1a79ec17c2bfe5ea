"""Node tree to typed model: every mistake of a file in one run, each with its place.

A value that is wrong does not hide the other mistakes, and an unknown key hides none at all: it is taken out, and the
object around it is checked without it. Where the model cannot be built, the broken fields are left out at the second
level (`storage.disks`, `os.packages`; all optional there) and the rest is decoded, so that rules that do not read a
broken field can still be checked (`checks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from twinroot.config.document import Document, plain
from twinroot.config.explain import Explainer
from twinroot.config.problems import KeyPath
from twinroot.config.section import Section
from twinroot.config.shape import depth_of, inner_model
from twinroot.errors import Problem

M = TypeVar("M", bound=Section)

MAX_PROBLEMS = 100
_UNKNOWN = "extra_forbidden"  # what pydantic calls a key that no field has


@dataclass(frozen=True)
class Decoded(Generic[M]):
    """What came out of a document.

    `model` has all that is right, None if nothing is. `broken` are the key paths of what is wrong.
    `sections` are the largest objects in which nothing is wrong, by key path: the whole model where all is right.
    """

    model: M | None
    broken: frozenset[KeyPath]
    sections: tuple[tuple[KeyPath, Section], ...]
    problems: tuple[Problem, ...]


def decode(document: Document, model_type: type[M]) -> Decoded[M]:
    """Decode a document into a model; problems are in no order and limited to about `MAX_PROBLEMS`."""
    data = plain(document.root)
    try:
        model = _validate(model_type, data)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    else:
        return Decoded(model, frozenset(), (((), model),), document.mistakes)
    problems = list(document.mistakes)
    unknown = {detail["loc"] for detail in errors if detail["type"] == _UNKNOWN}
    broken = {detail["loc"] for detail in errors} - unknown
    explain = Explainer(document, model_type)
    explained = [(detail, *explain(detail)) for detail in errors[:MAX_PROBLEMS]]
    misspelt = {meant for _, _, meant in explained if meant}
    broken |= misspelt
    # A required key that is misspelt is one mistake, not two: the one that says what to do is told.
    problems += [
        problem for detail, problem, _ in explained if detail["type"] != "missing" or detail["loc"] not in misspelt
    ]
    if len(errors) > MAX_PROBLEMS:
        more = f"there are {len(errors) - MAX_PROBLEMS} more problems in this file"
        problems.append(Problem(document.root.place.source.file, 0, 0, "", more))
    for path in unknown:
        _remove(data, path)
    sections = tuple(_whole_sections(model_type, data, (), _with_parents(broken)))
    for path in broken:
        _remove(data, second_level(path))
    return Decoded(_rest(model_type, data), frozenset(broken), sections, tuple(problems))


def second_level(path: KeyPath) -> KeyPath:
    """The key of the first or the second level that a path leads through: `storage.disks`, `iso`."""
    return path[:2] if len(path) > 1 and isinstance(path[1], str) else path[:1]


def _validate(model_type: type[M], data: object) -> M:
    return model_type.model_validate(data, by_alias=True, by_name=False)


def _rest(model_type: type[M], data: object) -> M | None:
    """A model of what is left of the data.

    An object that lacks a required key after a broken one was taken out (`image.url`) goes as a whole.
    """
    if not isinstance(data, dict):
        return None
    try:
        return _validate(model_type, data)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            data.pop(str(detail["loc"][0]) if detail["loc"] else "", None)
    try:
        return _validate(model_type, data)
    except ValidationError:  # a required field at the first level; no language of ours has one
        return None


def _with_parents(paths: set[KeyPath]) -> frozenset[KeyPath]:
    """The paths and all that lead to them."""
    return frozenset(path[:length] for path in paths for length in range(len(path) + 1))


def _whole_sections(
    model_type: type[Section], data: Any, path: KeyPath, broken: frozenset[KeyPath]
) -> Iterator[tuple[KeyPath, Section]]:
    """The objects in `data`, which is at `path`, in which nothing is broken, each with all that is in it."""
    if path not in broken:
        try:
            yield path, _validate(model_type, data)
        except ValidationError:
            return  # a null where an object is wanted, or a key that a broken key stands for
        return
    for name, field in model_type.model_fields.items():
        key = field.alias or name
        below = inner_model(field.annotation)
        if not isinstance(data, dict) or key not in data or below is None or not issubclass(below, Section):
            continue
        for steps, found in _below(data[key], depth_of(field.annotation)):
            yield from _whole_sections(below, found, (*path, key, *steps), broken)


def _below(data: Any, depth: int) -> Iterator[tuple[KeyPath, Any]]:
    """What lies `depth` lists or maps below some data, with the paths to it."""
    if not depth:
        yield (), data
        return
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(data, (list, tuple)):
        items = enumerate(data)
    elif isinstance(data, dict):
        items = data.items()
    for key, item in items:
        yield from (((key, *rest), found) for rest, found in _below(item, depth - 1))


def _remove(data: Any, path: KeyPath) -> None:
    """Take the value at `path` out of plain data; what is not there is left alone."""
    for step in path[:-1]:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return
    if path and isinstance(data, dict):
        data.pop(path[-1], None)
