"""The base of every object of the configuration languages.

What a single field may hold is in its type (`scalars`); what the fields of one object must satisfy together is in the
object's `check`; what several objects must satisfy together is in rules (`checks`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, get_origin

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from twinroot.config.problems import Finding


class UnreadableError(Exception):
    """A value is asked for that is wrong in the configuration, so that nobody knows what it should be."""


class Section(BaseModel):
    """A frozen object with camelCase keys in YAML and snake_case names in code; unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        defer_build=True,  # only the outermost object needs a validator of its own, and start-up time counts
    )

    empty_lists: ClassVar[bool] = False
    always_written: ClassVar[frozenset[str]] = frozenset()
    """Names of fields that stand in a written configuration even with their default."""

    def check(self) -> Iterable[Finding]:
        """What is wrong between the fields of this object alone. Paths are relative to it."""
        return ()

    if not TYPE_CHECKING:  # for mypy, an object would have attributes of every name

        def __getattr__(self, name: str) -> Any:
            """Only what is not there gets here: a field without its value (`decode`), or an attribute that is none."""
            if name in type(self).model_fields:
                raise UnreadableError(name)
            return super().__getattr__(name)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        """Leave out null values, which mean "not set"; of unknown keys they stay, as those are mistakes.

        With `empty_lists`, a required list whose key has no value is empty.
        """
        if not isinstance(data, dict) or None not in data.values():
            return data
        fields = {field.alias or name: field for name, field in cls.model_fields.items()}
        found = {key: value for key, value in data.items() if value is not None or key not in fields}
        return {key: () for key in fields if cls.empty_lists and key in data and _is_needed_list(fields[key])} | found


def _is_needed_list(field: FieldInfo) -> bool:
    return field.is_required() and get_origin(field.annotation) is tuple


class ShortSection(Section):
    """A section that may also be written as one scalar, which then is the value of the field `short_form`."""

    short_form: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, data: Any) -> Any:
        return {cls.short_form: data} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Either the scalar or the object."""
        full = handler.resolve_ref_schema(handler(schema))
        short = full.get("properties", {}).get(cls.short_form, {"type": "string"})
        return {"anyOf": [short, full]}
