"""A host configuration in its normal form, as the agents keep and print it (host-config spec, section 1). Pure.

Short forms are written out, sizes with their largest exact suffix, PCRs by name. What is at its default is left out,
but for what the peer always writes. The text is for readers of YAML 1.2 and 1.1 alike.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from twinroot.config.host.config import HostConfig
from twinroot.config.section import Section

# Text that readers of YAML 1.2 take for numbers, and PyYAML, which knows 1.1, writes without quotes: 1e5, 0o17, 12e45….
_NUMBERS = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|0b[01]+")
_WIDTH = 1_000_000  # never fold


class _Dumper(yaml.SafeDumper):
    """PyYAML's, without aliases, and with quotes wherever some reader needs them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"(?:{_NUMBERS.pattern})$"), list("-+.0123456789"))


def normal(config: HostConfig) -> dict[str, Any]:
    """The configuration as plain dicts, lists, texts, numbers and None, in the order of the language."""
    dumped: dict[str, Any] = config.model_dump(mode="json", by_alias=True)
    return _pruned(config, dumped)


def to_yaml(value: object) -> str:
    """Plain data as YAML text."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=False)


def _pruned(section: Section, dumped: dict[str, Any]) -> dict[str, Any]:
    """The dumped section without what is at its default."""
    found: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        needed = field.is_required() or name in section.always_written
        if needed or value != field.get_default(call_default_factory=True, validated_data={}):
            key = field.alias or name
            found[key] = _values(value, dumped[key])
    return found


def _values(value: object, dumped: Any) -> Any:
    """The same for lists and maps, looking for sections in them."""
    if isinstance(value, Section) and isinstance(dumped, dict):
        return _pruned(value, dumped)
    if isinstance(value, tuple) and isinstance(dumped, list):
        return [_values(item, below) for item, below in zip(value, dumped, strict=True)]
    if isinstance(value, dict) and isinstance(dumped, dict):
        return {key: _values(item, dumped[key]) for key, item in value.items()}
    return dumped
