"""What pydantic found in a document, in plain words, with place and hint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from twinroot.config.document import Document, Items, Mapping, Node, Scalar
from twinroot.config.problems import KeyPath, nearest, one_of, quoted, show_path
from twinroot.config.scalars import ScalarError
from twinroot.config.shape import ANY_NAME, fields_at, paths_of
from twinroot.errors import Problem

_MAX_HOMES = 4  # a key that is right in more places is no clue


class Explainer:
    """Turns the error details of one document into problems."""

    def __init__(self, document: Document, model_type: type[BaseModel]) -> None:
        self._document = document
        self._model_type = model_type

    def __call__(self, detail: ErrorDetails) -> tuple[Problem, KeyPath | None]:
        """The problem, and the absent key path that was probably meant when the key is unknown."""
        path = detail["loc"]
        if detail["type"] == "extra_forbidden":
            return self._unknown_key(path)
        if path[-1:] == ("[key]",):  # pydantic's word for "the key of this entry"
            message, hint = self._message(detail, Scalar(self._document.root.place, str(path[-2])))
            return self._document.problem_with_key(path[:-1], message, hint), None
        message, hint = self._message(detail, self._document.find(path)[0])
        rejected = detail.get("ctx", {}).get("error")
        code = rejected.code if isinstance(rejected, ScalarError) else None
        return replace(self._document.problem(path, message, hint), code=code), None

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
        if kind == "too_short":
            return "the list may not be empty", None
        if kind == "literal_error":
            known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
            return _not_allowed(node, known)
        if kind.endswith("_type") or isinstance(node, (Items, Mapping)):
            return f"expected a single value, found {_found(node)}", None
        return detail["msg"], None

    def _unknown_key(self, path: KeyPath) -> tuple[Problem, KeyPath | None]:
        parent, key = path[:-1], str(path[-1])
        known = list(fields_at(self._model_type, parent))
        meant = nearest(key, known)
        homes = [] if meant else sorted({home for home in self._homes(key) if home != show_path(parent)})
        if meant:
            hint = f"did you mean '{meant}'?"
        elif 0 < len(homes) <= _MAX_HOMES:
            hint = f"it belongs in {one_of(homes)}"
        else:
            hint = f"known here: {', '.join(sorted(known))}"
        problem = self._document.problem_with_key(path, f"unknown key {quoted(key)}", hint)
        taken = meant and self._document.find((*parent, meant))[1] == len(path)
        return problem, (*parent, meant) if meant and not taken else None

    def _homes(self, key: str) -> Iterator[str]:
        """The objects, by key path, in which a key would be right."""
        for path in paths_of(self._model_type):
            if path[-1] == key:
                yield show_path(path[:-1]).replace("[0]", "[]").replace(f"'{ANY_NAME}'", ANY_NAME) or "the top level"


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
