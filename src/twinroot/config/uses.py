"""Where a configuration uses a key: key paths as patterns, such as `storage.filesystems[].type`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from twinroot.config.document import Document, Items, Mapping, Node, Scalar
from twinroot.config.problems import Finding, KeyPath, quoted
from twinroot.config.section import Section, UnreadableError


@dataclass(frozen=True)
class Pattern:
    """A key path with `[]` for "any item", and the values meant; without values any is."""

    path: str
    values: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """The path in steps, `[]` being one."""
        return tuple(re.findall(r"\[\]|[^.\[\]]+", self.path))

    def uses(self, config: Section) -> Iterator[tuple[KeyPath, object]]:
        """The key paths and values in a configuration that the pattern matches.

        What is not set, empty or wrong does not count.
        """
        for path, value in _walk(config, self.steps, ()):
            if not self.values or value in self.values:
                yield path, value

    def texts(self, document: Document) -> Iterator[tuple[KeyPath, str]]:
        """The key paths and texts of single values in a document, whatever is wrong around them.

        Empty ones do not count. Short forms of objects are not looked into.
        """
        for path, text in _texts(document.root, self.steps, ()):
            if not self.values or text in self.values:
                yield path, text

    def unbuilt(self, config: Section) -> Iterator[Finding]:
        """A finding for each use of what this version does not have."""
        for path, value in self.uses(config):
            what = f"the value {quoted(str(value))}" if self.values else "this"
            yield Finding(path, f"{what} is not built yet in this version of twinroot")


def _walk(value: object, steps: tuple[str, ...], path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    if value is None or value == () or value == {}:
        return
    if not steps:
        yield path, value
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _walk(item, steps[1:], (*path, index))
    elif isinstance(value, dict):
        yield from _walk(value.get(steps[0]), steps[1:], (*path, steps[0]))
    elif isinstance(value, Section):
        for name, field in type(value).model_fields.items():
            if (field.alias or name) == steps[0]:
                with suppress(UnreadableError):
                    yield from _walk(getattr(value, name), steps[1:], (*path, steps[0]))


def _texts(node: Node, steps: tuple[str, ...], path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(node, Scalar):
        if not steps and node.text:
            yield path, node.text
    elif isinstance(node, Items) and steps[:1] == ("[]",):
        for index, item in enumerate(node.items):
            yield from _texts(item, steps[1:], (*path, index))
    elif isinstance(node, Mapping) and steps and steps[0] in node.values:
        yield from _texts(node.values[steps[0]], steps[1:], (*path, steps[0]))
