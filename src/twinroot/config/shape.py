"""The shape of a configuration language: which object and which keys stand at a key path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from twinroot.config.problems import KeyPath


def fields_at(model_type: type[BaseModel], path: KeyPath) -> dict[str, str]:
    """The keys of the object at a key path, with their descriptions; empty when there is no object."""
    model = _model_at(model_type, path)
    if model is None:
        return {}
    return {field.alias or name: field.description or "" for name, field in model.model_fields.items()}


def _model_at(model_type: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    model: type[BaseModel] | None = model_type
    for step in path:
        if isinstance(step, int):
            continue  # lists of models are looked through below
        if model is None:
            return None
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        model = inner_model(fields[step].annotation) if step in fields else None
    return model


def paths_of(model_type: type[BaseModel], parent: KeyPath = ()) -> Iterator[KeyPath]:
    """The key path of every field, with index 0 for the items of lists."""
    for name, field in model_type.model_fields.items():
        path = (*parent, field.alias or name)
        yield path
        below = inner_model(field.annotation)
        if below:
            yield from paths_of(below, (*path, 0) if is_list(field.annotation) else path)


def is_list(annotation: Any) -> bool:
    """Whether a field holds a list: `tuple[X, ...]`, also with `| None`."""
    return tuple in (get_origin(annotation), *map(get_origin, get_args(annotation)))


def inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside `Model | None`, `tuple[Model, ...]` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := inner_model(part))), None)
