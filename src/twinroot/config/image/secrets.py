"""Passwords of a configuration: no message repeats them, nor the source line that holds one. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

from twinroot.config.document import Document, Items, Node, Scalar, child
from twinroot.config.image.users import PasswordType
from twinroot.config.problems import quoted
from twinroot.errors import Problem

_HIDDEN = "…"
_HARMLESS = {"type", "value", *get_args(PasswordType)}


def secrets_in(document: Document) -> frozenset[str]:
    """Every text that stands for a password, or where one is wanted, whatever else is wrong around it."""
    users = document.find(("os", "users"))[0]
    found: set[str] = set()
    for user in users.items if isinstance(users, Items) else ():
        password = child(user, "password")
        if password:
            found |= _texts(child(password, "value") or password)
    return frozenset(text for text in found if text)


def without_secrets(problem: Problem, secrets: frozenset[str]) -> Problem:
    """The problem with secrets made unreadable in its words, and without its source line if that holds one.

    A source line may spell a secret with escapes or on several lines, so a piece of one hides it too.
    """
    if not secrets:
        return problem
    pieces = {piece for secret in secrets for piece in re.split(r"[\s'\"\\]+", secret) if piece}
    shown = problem.text is not None and not any(piece in problem.text for piece in pieces)
    return replace(
        problem,
        key=".".join(_HIDDEN if step in secrets else step for step in problem.key.split(".")),
        message=_hidden(problem.message, secrets),
        hint=problem.hint and _hidden(problem.hint, secrets),
        text=problem.text if shown else None,
    )


def _hidden(words: str, secrets: frozenset[str]) -> str:
    for secret in secrets:
        words = words.replace(quoted(secret), _HIDDEN)
    return words


def _texts(node: Node) -> set[str]:
    if isinstance(node, Scalar):
        return {node.text} if node.text else set()
    if isinstance(node, Items):
        return set().union(*(_texts(item) for item in node.items))
    return set(node.values).union(*(_texts(value) for value in node.values.values())) - _HARMLESS
