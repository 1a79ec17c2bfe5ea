"""The base of every object of the configuration languages."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Section(BaseModel):
    """A frozen object with camelCase keys in YAML and snake_case names in code; unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_alias=True, validate_by_name=True
    )


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
