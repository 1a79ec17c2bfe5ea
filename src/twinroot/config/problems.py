"""Words for what is wrong in a configuration: key paths, findings, suggestions.

A rule that checks a decoded configuration knows key paths, not places; it returns findings. The document turns them
into problems with file, line and column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]

_SIMPLE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_QUOTED = 60
_MAX_GUESSED = 64  # comparing is quadratic in the length of the word


@dataclass(frozen=True)
class Finding:
    """Something wrong with the value at `path`; `at` is another path to point at, for what is missing.

    `code` is the name that the peer has for the error, where scripts may look for it.
    """

    path: KeyPath
    message: str
    hint: str | None = None
    at: KeyPath | None = None
    code: str | None = None


def show_path(path: KeyPath) -> str:
    """A key path as people write it: `storage.disks[0].partitions[1].size`."""
    shown = ""
    for step in path:
        if isinstance(step, int):
            shown += f"[{step}]"
        else:
            name = step if _SIMPLE_KEY.fullmatch(step) else quoted(step)
            shown += f".{name}" if shown else name
    return shown


def quoted(text: str) -> str:
    """Text from a file, quoted, cut to a readable length and with control characters escaped."""
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[: _MAX_QUOTED - 3]}...")


def one_of(names: Iterable[str]) -> str:
    """`a, b or c`."""
    known = list(names)
    return known[0] if len(known) == 1 else f"{', '.join(known[:-1])} or {known[-1]}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is probably a misspelling of."""
    if len(word) > _MAX_GUESSED:
        return None
    from difflib import get_close_matches  # only wanted when something is wrong

    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint naming the nearest known word, None when nothing is near."""
    name = nearest(word, known)
    return f"did you mean {quoted(name)}?" if name else None
