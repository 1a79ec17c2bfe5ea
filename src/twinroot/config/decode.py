"""Node tree to typed model: every mistake of a file in one run, each with its place.

A value that is wrong does not hide the other mistakes. Where the model cannot be built, the broken fields are left
out at the second level (`storage.disks`, `os.packages`; all optional there) and the rest is decoded, so that rules
that do not read a broken field can still be checked (`Decoded.broken`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from twinroot.config.document import Document, Items, Mapping, Node, Scalar, child
from twinroot.config.problems import Finding, KeyPath, nearest, one_of, quoted, show_path
from twinroot.config.scalars import ScalarError
from twinroot.config.section import Section
from twinroot.errors import Problem

M = TypeVar("M", bound=Section)

MAX_PROBLEMS = 100
_NOT_BUILT = "is not built yet in this version of twinroot"


@dataclass(frozen=True)
class NotBuilt:
    """A key, or some values of a key, that the language has and this version of twinroot lacks.

    `path` is a key path with `[]` for "any item": `storage.filesystems[].type`. Without `values` the key itself
    is meant, and no model knows it; with `values` the models know them.
    """

    path: str
    values: tuple[str, ...] = ()
    what: str = "section"

    @property
    def steps(self) -> tuple[str, ...]:
        """The path in steps, `[]` being one."""
        return tuple(re.findall(r"\[\]|[^.\[\]]+", self.path))


@dataclass(frozen=True)
class Decoded(Generic[M]):
    """What came out of a document: the model of all that is right (None if nothing is), the broken paths, the problems.

    A broken path names a key of the first or the second level.
    """

    model: M | None
    broken: frozenset[KeyPath]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Rule(Generic[M]):
    """A check across fields: the key paths it reads (of the first or the second level) and a pure function."""

    reads: tuple[KeyPath, ...]
    check: Callable[[M], Iterable[Finding]]


def decode(document: Document, model_type: type[M], not_built: Sequence[NotBuilt] = ()) -> Decoded[M]:
    """Decode a document into a model; problems are in no order and limited to `MAX_PROBLEMS`."""
    problems = list(document.mistakes)
    broken: set[KeyPath] = set()
    data = _plain(document.root)
    for entry in not_built:
        for path in _uses(document.root, entry.steps):
            found = _not_built_problem(document, entry, path)
            if found and len(problems) < MAX_PROBLEMS:
                problems.append(found)
            if not entry.values:
                _remove(data, path)
                broken.add(_second_level(path))
    try:
        return Decoded(_validate(model_type, data), frozenset(broken), tuple(problems))
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    explain = _Explainer(document, model_type, not_built)
    for detail in errors[:MAX_PROBLEMS]:
        problem, suspect = explain(detail)
        problems.append(problem)
        if suspect:
            broken.add(_second_level(suspect))
    if len(errors) > MAX_PROBLEMS:
        more = f"there are {len(errors) - MAX_PROBLEMS} more problems in this file"
        problems.append(Problem(document.file, 0, 0, "", more))
    for detail in errors:
        path = _second_level(detail["loc"])
        broken.add(path)
        _remove(data, path)
    return Decoded(_rest(model_type, data), frozenset(broken), tuple(problems))


def check_rules(document: Document, decoded: Decoded[M], rules: Iterable[Rule[M]]) -> list[Problem]:
    """The problems that rules find; a rule that reads something broken is left out."""
    if decoded.model is None:
        return []
    problems: list[Problem] = []
    for rule in rules:
        if not any(_overlap(read, path) for read in rule.reads for path in decoded.broken):
            findings = islice(rule.check(decoded.model), MAX_PROBLEMS - len(problems))
            problems += [at_place(document, finding) for finding in findings]
    return problems


def at_place(document: Document, finding: Finding) -> Problem:
    """A finding as a problem with its place."""
    return document.problem(finding.path, finding.message, finding.hint, at=finding.at)


def fields_at(model_type: type[BaseModel], path: KeyPath) -> dict[str, str]:
    """The keys of the object at a key path, with their descriptions; empty when there is no object."""
    model = _model_at(model_type, path)
    if model is None:
        return {}
    return {field.alias or name: field.description or "" for name, field in model.model_fields.items()}


def _validate(model_type: type[M], data: object) -> M:
    return model_type.model_validate(data, by_alias=True, by_name=False)


def _rest(model_type: type[M], data: object) -> M | None:
    try:
        return _validate(model_type, data) if isinstance(data, dict) else None
    except ValidationError:  # a required field at the first or second level; no language of ours has one
        return None


def _plain(node: Node) -> Any:
    """The tree as dicts, lists and text. A null value of a mapping is left out: it means "not set"."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Items):
        return [_plain(item) for item in node.items]
    return {
        key: _plain(value)
        for key, value in node.values.items()
        if not (isinstance(value, Scalar) and value.text is None)
    }


def _uses(node: Node, steps: tuple[str, ...], path: KeyPath = ()) -> Iterator[KeyPath]:
    """The key paths in the tree that a pattern of steps matches; null is "not set" and does not count."""
    if not steps:
        if not (isinstance(node, Scalar) and node.text is None):
            yield path
    elif steps[0] == "[]":
        for index, item in enumerate(node.items if isinstance(node, Items) else ()):
            yield from _uses(item, steps[1:], (*path, index))
    else:
        below = child(node, steps[0])
        if below is not None:
            yield from _uses(below, steps[1:], (*path, steps[0]))


def _not_built_problem(document: Document, entry: NotBuilt, path: KeyPath) -> Problem | None:
    if not entry.values:
        return document.problem_with_key(path, f"this {entry.what} {_NOT_BUILT}")
    node, _ = document.find(path)
    if isinstance(node, Scalar) and node.text in entry.values:
        return document.problem(path, f"the value {quoted(node.text)} {_NOT_BUILT}")
    return None


def _second_level(path: KeyPath) -> KeyPath:
    return path[:2] if len(path) > 1 and isinstance(path[1], str) else path[:1]


def _overlap(one: KeyPath, other: KeyPath) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _remove(data: Any, path: KeyPath) -> None:
    """Take the value at `path` out of plain data; what is not there is left alone."""
    for step in path[:-1]:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return
    if path and isinstance(data, dict):
        data.pop(path[-1], None)


def _model_at(model_type: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    model: type[BaseModel] | None = model_type
    for step in path:
        if isinstance(step, int):
            continue  # lists of models are looked through below
        if model is None:
            return None
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        model = _inner_model(fields[step].annotation) if step in fields else None
    return model


def _paths(model_type: type[BaseModel], parent: KeyPath = ()) -> Iterator[KeyPath]:
    """The key path of every field, with index 0 for the items of lists."""
    for name, field in model_type.model_fields.items():
        path = (*parent, field.alias or name)
        yield path
        below = _inner_model(field.annotation)
        if below:
            yield from _paths(below, (*path, 0) if get_origin(field.annotation) is tuple else path)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside `Model | None`, `tuple[Model, ...]` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _inner_model(part))), None)


class _Explainer:
    """Says in plain words, with place and hint, what pydantic found."""

    def __init__(self, document: Document, model_type: type[BaseModel], not_built: Sequence[NotBuilt]) -> None:
        self._document = document
        self._model_type = model_type
        self._not_built = not_built

    def __call__(self, detail: ErrorDetails) -> tuple[Problem, KeyPath | None]:
        """The problem, and the absent key path that was probably meant when the key is unknown."""
        path = detail["loc"]
        if detail["type"] == "extra_forbidden":
            return self._unknown_key(path)
        message, hint = self._message(detail, self._document.find(path)[0])
        return self._document.problem(path, message, hint), None

    def _message(self, detail: ErrorDetails, node: Node) -> tuple[str, str | None]:
        context = detail.get("ctx", {})
        kind = detail["type"]
        rejected = context.get("error")
        if isinstance(rejected, ScalarError):
            return rejected.message, rejected.hint
        if kind == "missing":
            return "this key is required and missing", None
        if kind in ("model_type", "model_attributes_type", "dict_type"):
            return f"expected a mapping (lines of 'key: value'), found {_found(node)}", None
        if kind in ("tuple_type", "list_type"):
            return f"expected a list (lines that begin with '- '), found {_found(node)}", None
        if kind == "literal_error":
            known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
            return _not_allowed(node, known)
        if kind.endswith("_type") or isinstance(node, (Items, Mapping)):
            return f"expected a single value, found {_found(node)}", None
        return detail["msg"], None

    def _unknown_key(self, path: KeyPath) -> tuple[Problem, KeyPath | None]:
        parent, key = path[:-1], str(path[-1])
        known = [*fields_at(self._model_type, parent), *self._not_built_keys(parent)]
        meant = nearest(key, known)
        homes = [] if meant else sorted({home for home in self._homes(key) if home != show_path(parent)})
        if meant:
            hint = f"did you mean '{meant}'?"
        elif homes:
            hint = f"it belongs in {one_of(homes)}"
        else:
            hint = f"known here: {', '.join(sorted(known))}"
        problem = self._document.problem_with_key(path, f"unknown key {quoted(key)}", hint)
        taken = meant and self._document.find((*parent, meant))[1] == len(path)
        return problem, (*parent, meant) if meant and not taken else None

    def _homes(self, key: str) -> Iterator[str]:
        """The objects, by key path, in which a key would be right."""
        for path in _paths(self._model_type):
            if path[-1] == key:
                yield show_path(path[:-1]).replace("[0]", "[]") or "the top level"
        for entry in self._not_built:
            if not entry.values and entry.steps[-1] == key:
                yield entry.path.rpartition(".")[0] or "the top level"

    def _not_built_keys(self, parent: KeyPath) -> Iterator[str]:
        steps = tuple("[]" if isinstance(step, int) else step for step in parent)
        for entry in self._not_built:
            if not entry.values and entry.steps[:-1] == steps:
                yield entry.steps[-1]


def _not_allowed(node: Node, known: list[str]) -> tuple[str, str | None]:
    if not isinstance(node, Scalar) or node.text is None:
        return f"expected {one_of(known)}, found {_found(node)}", None
    meant = nearest(node.text, known)
    hint = f"did you mean '{meant}'?" if meant else None
    return f"{quoted(node.text)} is not allowed here: use {one_of(known)}", hint


def _found(node: Node) -> str:
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    return "nothing" if node.text is None else f"the value {quoted(node.text)}"
