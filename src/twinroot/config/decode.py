"""Node tree to typed model: every mistake of a file in one run, each with its place.

A value that is wrong does not hide the other mistakes. An unknown key is taken out, and the object around it is checked
without it. A value that is wrong is missing from its object, and whoever reads it gets `UnreadableError`: so everything
that can be said without it is said (`checks`), and nothing is said that depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast, get_origin

from pydantic import ValidationError, create_model

from twinroot.config.document import Document, plain
from twinroot.config.explain import Explainer
from twinroot.config.problems import KeyPath
from twinroot.config.section import Section
from twinroot.config.shape import depth_of, inner_model
from twinroot.errors import Problem

M = TypeVar("M", bound=Section)

MAX_PROBLEMS = 100
_HOPELESS = 1000  # mistakes, from which on only they are told: what is right is not worth the time
_UNKNOWN = "extra_forbidden"  # what pydantic calls a key that no field has


@dataclass(frozen=True)
class Decoded(Generic[M]):
    """What came out of a document.

    `model` has all that is right. `broken` are the key paths of what is wrong or lacks; to read it there raises
    `UnreadableError`.
    """

    model: M
    broken: frozenset[KeyPath]
    problems: tuple[Problem, ...]


def decode(document: Document, model_type: type[M]) -> Decoded[M]:
    """Decode a document into a model; problems are in no order and limited to about `MAX_PROBLEMS`."""
    data = plain(document.root)
    try:
        model = _validate(model_type, data)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    else:
        return Decoded(model, frozenset(), document.mistakes)
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
    read = _Reader(broken if len(broken) < _HOPELESS else {()}).read
    return Decoded(read(model_type, data, ()), frozenset(broken), tuple(problems))


class _Reader:
    """Makes objects of what is right, given the key paths of what is wrong."""

    def __init__(self, broken: set[KeyPath]) -> None:
        self._broken = broken
        self._touched = {path[:length] for path in broken for length in range(len(path) + 1)}

    def read(self, model_type: type[M], data: Any, path: KeyPath) -> M:
        """The object in `data`, which is at `path`, without the fields that are wrong."""
        keys = {field.alias or name: name for name, field in model_type.model_fields.items()}
        touched = {key: name for key, name in keys.items() if (*path, key) in self._touched}
        if path in self._broken or (touched and not isinstance(data, dict)):
            return _made(model_type, {}, keys.values())
        try:
            if not touched:
                return _validate(model_type, data)
            right = {key: value for key, value in data.items() if key not in touched}
            whole = _validate(_all_optional(model_type), right)
        except ValidationError:  # a null where an object is wanted, or a key that a broken key stands for
            return _made(model_type, {}, keys.values())
        given = whole.model_fields_set.union(touched[key] for key in touched if key in data)
        values = {name: value for name, value in whole.__dict__.items() if name not in touched.values()}
        for key, name in touched.items():
            if key in data and (*path, key) not in self._broken:
                values |= self._below(model_type, name, data[key], (*path, key))
        return _made(model_type, values, set(keys.values()) - values.keys(), given)

    def _below(self, model_type: type[Section], name: str, data: Any, path: KeyPath) -> dict[str, object]:
        """The value of a field in which something is wrong, by its name; nothing if it does not hold objects."""
        annotation = model_type.model_fields[name].annotation
        below = inner_model(annotation)
        if below is None or not issubclass(below, Section):
            return {}
        return {name: self._items(below, data, path, depth_of(annotation))}

    def _items(self, model_type: type[Section], data: Any, path: KeyPath, depth: int) -> object:
        """Objects, `depth` lists and maps below some data, in tuples and maps."""
        if depth and isinstance(data, dict):
            return {key: self._items(model_type, item, (*path, key), depth - 1) for key, item in data.items()}
        if depth and isinstance(data, list):
            return tuple(self._items(model_type, item, (*path, index), depth - 1) for index, item in enumerate(data))
        return self.read(model_type, data, path)


def _validate(model_type: type[M], data: object) -> M:
    return model_type.model_validate(data, by_alias=True, by_name=False)


@lru_cache(maxsize=256)
def _all_optional(model_type: type[M]) -> type[M]:
    """The model with no required fields; what it fills in for them says nothing."""
    fields: dict[str, Any] = {}
    for name, field in model_type.model_fields.items():
        if field.is_required():
            optional = copy(field)
            optional.default = () if get_origin(field.annotation) is tuple else None
            fields[name] = (field.annotation, optional)
    return create_model(model_type.__name__, __base__=model_type, **fields)


def _made(model_type: type[M], values: dict[str, Any], missing: Iterable[str], given: Iterable[str] = ()) -> M:
    """An object with these values as they are; whoever reads one of the `missing` fields gets `UnreadableError`.

    `given` are the fields that have a key, right or wrong.
    """
    made = cast("M", model_type.model_construct(set(given), **values))
    for name in missing:
        made.__dict__.pop(name, None)
    return made


def _remove(data: Any, path: KeyPath) -> None:
    """Take the value at `path` out of plain data; what is not there is left alone."""
    for step in path[:-1]:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return
    if path and isinstance(data, dict):
        data.pop(path[-1], None)
