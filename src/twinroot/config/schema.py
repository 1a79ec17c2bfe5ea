"""JSON schemas of the configuration languages, made from the models for editors. Rules between keys are not in them."""

from __future__ import annotations

from typing import Any

from twinroot.config.host.config import HostConfig
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.inject_files import InjectFilesConfig
from twinroot.config.image.packages import PackageList
from twinroot.config.section import Section

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAMES = ("properties", "$defs", "patternProperties")

LANGUAGES: dict[str, tuple[type[Section], str]] = {
    "image": (ImageConfig, "Image configuration"),
    "host": (HostConfig, "Host configuration"),
    "inject-files": (InjectFilesConfig, "Configuration of inject-files"),
    "package-list": (PackageList, "Package list"),
}


def schema(language: str) -> dict[str, Any]:
    """The schema of one of `LANGUAGES`."""
    model, title = LANGUAGES[language]
    found: dict[str, Any] = _tidy(model.model_json_schema(by_alias=True))
    return {"$schema": DRAFT, "title": title, **found}


def _tidy(value: Any, *, names: bool = False) -> Any:
    """Without titles, which only repeat names, and defaults of null, which nobody writes. `names`: keys are names."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _tidy(item, names=key in _NAMES and not names)
        for key, item in value.items()
        if names or not (key == "title" or (key == "default" and item is None))
    }
