"""The shape of a configuration language: which object and which keys stand at a key path.

Between a field and the objects in it there may be lists (`tuple[Model, ...]`) and maps by name (`dict[str, Model]`).
"""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from twinroot.config.problems import KeyPath
from twinroot.config.section import Section

ANY_NAME = "*"
"""In a key path, any key of a map."""


def fields_at(model_type: type[BaseModel], path: KeyPath) -> dict[str, str]:
    """The keys of the object at a key path, with their descriptions; empty when there is no object."""
    annotation: Any = model_type
    for step in path:
        annotation = _below(annotation, step)
    model = inner_model(annotation)
    if model is None:
        return {}
    return {field.alias or name: field.description or "" for name, field in model.model_fields.items()}


def paths_of(model_type: type[BaseModel], parent: KeyPath = ()) -> Iterator[KeyPath]:
    """The key path of every field, with index 0 for the items of lists and `ANY_NAME` for the keys of maps."""
    for name, field in model_type.model_fields.items():
        path = (*parent, field.alias or name)
        yield path
        below = inner_model(field.annotation)
        if below:
            yield from paths_of(below, (*path, *_container_steps(field.annotation)))


def sections_in(value: object) -> Iterator[tuple[KeyPath, Section]]:
    """The sections that a field's value is or holds in lists and maps, by the path from the field."""
    if isinstance(value, Section):
        yield (), value
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from (((index, *path), section) for path, section in sections_in(item))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (((key, *path), section) for path, section in sections_in(item))


def is_list(annotation: Any) -> bool:
    """Whether a field holds a list: `tuple[X, ...]`, also with `| None`."""
    return get_origin(_plain(annotation)) is tuple


def depth_of(annotation: Any) -> int:
    """How many lists and maps lie between a field and its objects."""
    return len(_container_steps(annotation))


def inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside `Model | None`, `tuple[Model, ...]`, `dict[str, Model]` and the like."""
    found = _plain(annotation)
    while get_origin(found) in (tuple, dict):
        found = _item(found)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _below(annotation: Any, step: str | int) -> Any:
    """What stands at one step below a value of a type; None for nothing."""
    found = _plain(annotation)
    if get_origin(found) is (tuple if isinstance(step, int) else dict):
        return _item(found)
    if isinstance(found, type) and issubclass(found, BaseModel):
        fields = {field.alias or name: field for name, field in found.model_fields.items()}
        return fields[str(step)].annotation if step in fields else None
    return None


def _container_steps(annotation: Any) -> KeyPath:
    found = _plain(annotation)
    if get_origin(found) in (tuple, dict):
        return (0 if get_origin(found) is tuple else ANY_NAME, *_container_steps(_item(found)))
    return ()


def _item(container: Any) -> Any:
    return get_args(container)[0 if get_origin(container) is tuple else 1]


def _plain(annotation: Any) -> Any:
    """The type without annotations and without `| None`; of other unions the first part that is not a scalar."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, UnionType):
            parts = [part for part in get_args(annotation) if part is not NoneType]
            annotation = parts[0] if parts else None
        else:
            return annotation
