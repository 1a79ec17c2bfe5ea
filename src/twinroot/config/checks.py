"""What values that are right each by itself must satisfy together.

What concerns one object is in its `check`; what concerns several is a `Rule` about the whole configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Generic, TypeVar

from twinroot.config.decode import MAX_PROBLEMS, Decoded, second_level
from twinroot.config.document import Document
from twinroot.config.problems import Finding, KeyPath
from twinroot.config.section import Section
from twinroot.config.shape import sections_in
from twinroot.errors import Problem

M = TypeVar("M", bound=Section)


@dataclass(frozen=True)
class Rule(Generic[M]):
    """A check across objects: the key paths it reads (of the first or the second level) and a pure function."""

    reads: tuple[KeyPath, ...]
    check: Callable[[M], Iterable[Finding]]


def check(document: Document, decoded: Decoded[M], rules: Iterable[Rule[M]]) -> list[Problem]:
    """What objects find in themselves and what rules find. A rule that reads something broken is left out."""
    broken = {second_level(path) for path in decoded.broken}
    touched = broken | {path[:length] for path in broken for length in range(len(path))}
    found = chain(
        (finding for path, section in decoded.sections for finding in _findings(section, path)),
        (finding for rule in rules if _applies(rule, broken, touched) for finding in _rule_findings(rule, decoded)),
    )
    return [at_place(document, finding) for finding in islice(found, MAX_PROBLEMS)]


def at_place(document: Document, finding: Finding) -> Problem:
    """A finding as a problem with its place."""
    problem = document.problem(finding.path, finding.message, finding.hint, at=finding.at)
    return replace(problem, code=finding.code)


def _findings(section: Section, path: KeyPath) -> Iterator[Finding]:
    """What an object and all objects in it find in themselves, by paths from the top."""
    for finding in section.check():
        at = None if finding.at is None else (*path, *finding.at)
        yield replace(finding, path=(*path, *finding.path), at=at)
    for name, field in type(section).model_fields.items():
        for step, below in sections_in(getattr(section, name)):
            yield from _findings(below, (*path, field.alias or name, *step))


def _rule_findings(rule: Rule[M], decoded: Decoded[M]) -> Iterable[Finding]:
    return rule.check(decoded.model) if decoded.model is not None else ()


def _applies(rule: Rule[M], broken: set[KeyPath], touched: set[KeyPath]) -> bool:
    """Whether nothing that the rule reads is broken, lies below or above something broken."""
    return not any(
        read in touched or any(read[:length] in broken for length in range(len(read))) for read in rule.reads
    )
