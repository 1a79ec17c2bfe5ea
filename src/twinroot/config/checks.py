"""What values that are right each by itself must satisfy together.

What concerns one object is in its `check`; what concerns several is a `Rule` about the whole configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import TypeVar

from twinroot.config.decode import MAX_PROBLEMS
from twinroot.config.document import Document
from twinroot.config.problems import Finding, KeyPath
from twinroot.config.section import Section, UnreadableError
from twinroot.config.shape import sections_in
from twinroot.errors import Problem

M = TypeVar("M", bound=Section)


Rule = Callable[[M], Iterable[Finding]]
"""A check across objects. It may be given a model with values missing, and then stops at the first that it reads."""


def check(document: Document, model: M, rules: Iterable[Rule[M]]) -> list[Problem]:
    """What objects find in themselves and what rules find, as far as it does not depend on what is wrong anyway."""
    found = chain(_findings(model, ()), *(_rule_findings(rule, model) for rule in rules))
    return [at_place(document, finding) for finding in islice(found, MAX_PROBLEMS)]


def at_place(document: Document, finding: Finding) -> Problem:
    """A finding as a problem with its place."""
    problem = document.problem(finding.path, finding.message, finding.hint, at=finding.at)
    return replace(problem, code=finding.code)


def _findings(section: Section, path: KeyPath) -> Iterator[Finding]:
    """What an object and all objects in it find in themselves, by paths from the top."""
    with suppress(UnreadableError):
        for finding in section.check():
            at = None if finding.at is None else (*path, *finding.at)
            yield replace(finding, path=(*path, *finding.path), at=at)
    for name, field in type(section).model_fields.items():
        with suppress(UnreadableError):
            for step, below in sections_in(getattr(section, name)):
                yield from _findings(below, (*path, field.alias or name, *step))


def _rule_findings(rule: Rule[M], model: M) -> Iterator[Finding]:
    with suppress(UnreadableError):
        yield from rule(model)
