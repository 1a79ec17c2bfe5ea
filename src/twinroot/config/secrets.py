"""Passwords of a configuration: no message repeats them, nor the source line that holds one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from twinroot.config.document import Document, Items, Node, Place, Scalar, child, is_null
from twinroot.config.problems import nearest, quoted
from twinroot.errors import Problem

_HIDDEN = "…"
_SECRET_KEYS = frozenset(("password",))
# Below `netplan` also those of 802.1X, and of WireGuard and other tunnels.
_NETPLAN_KEYS = _SECRET_KEYS | {"client-key-password", "key", "input", "output", "private", "shared"}
# Of both a misspelling is one of a secret, and the second one is none.
_LIKE_PASSWORD = ("password", "passwordExpiresDays")
# How far before a place that cannot be read a password may begin: one that breaks YAML spans a few lines.
_NEAR_LINES, _NEAR_CHARACTERS = 10, 1000
_ABOUT_PASSWORDS = re.compile(r"passw|pasw", re.IGNORECASE)
_URL_USER = re.compile(r"(?<=://).*@")
_URL_QUERY = re.compile(r"(://[^\s'\"?]*\?)[^\s'\"]+")
_NAME = re.compile(r"(?<=[&*!])[^\s']+|(?<=')[^']*(?=')")


def secrets_in(document: Document, harmless: Iterable[str] = ()) -> frozenset[str]:
    """Every text that stands for a password, or where one is wanted, whatever else is wrong around it.

    A password may be an object with a `value`, or one whose indentation was lost, so that `value` stands beside it; its
    key may be misspelt. `harmless` are words that mean no secret: the types of passwords.
    """
    found = _secrets(document.root, {"type", "value", *harmless}, _SECRET_KEYS)
    return frozenset(text for text in found if text)


def _secrets(node: Node, harmless: set[str], keys: frozenset[str]) -> set[str]:
    if isinstance(node, Scalar):
        return set()
    if isinstance(node, Items):
        return set().union(*(_secrets(item, harmless, keys) for item in node.items))
    found: set[str] = set()
    beside = any(_is_secret(key, keys) and is_null(value) for key, value in node.values.items())
    for key, value in node.values.items():
        if _is_secret(key, keys):
            found |= _texts(child(value, "value") or value, harmless)
        elif beside and key == "value":
            found |= _texts(value, harmless)
        else:
            found |= _secrets(value, harmless, _NETPLAN_KEYS if key == "netplan" else keys)
    return found


def _is_secret(key: str, keys: frozenset[str]) -> bool:
    return key in keys or (key not in _LIKE_PASSWORD and nearest(key, _LIKE_PASSWORD) == "password")


def problem_while_reading(place: Place, message: str, hint: str | None = None) -> Problem:
    """A problem of a text that is still being read: nobody knows yet what in it is a password.

    So where passwords are spoken of shortly before, neither the source line nor a name from the text is shown.
    """
    problem = place.problem("", message, hint)
    before = place.source.text[max(place.offset - _NEAR_CHARACTERS, 0) : place.offset].splitlines()[-_NEAR_LINES:]
    if not any(_ABOUT_PASSWORDS.search(line) for line in (*before, problem.text or "")):
        return problem
    return replace(problem, message=_NAME.sub(_HIDDEN, message), text=None)


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


def without_secrets_of_urls(words: str) -> str:
    """A line of text without what proves to a server who asks: the user and the query of a URL."""
    return _URL_QUERY.sub(rf"\1{_HIDDEN}", _URL_USER.sub(f"{_HIDDEN}@", words))


def _hidden(words: str, secrets: frozenset[str]) -> str:
    for secret in secrets:
        words = words.replace(quoted(secret), _HIDDEN)
    return words


def _texts(node: Node, harmless: set[str]) -> set[str]:
    if isinstance(node, Scalar):
        return {node.text} if node.text else set()
    if isinstance(node, Items):
        return set().union(*(_texts(item, harmless) for item in node.items))
    return set(node.values).union(*(_texts(value, harmless) for value in node.values.values())) - harmless
