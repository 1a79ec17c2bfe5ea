"""Which RPM each file of the root belongs to. Pure: entries and tables in, owners out."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from fnmatch import translate

from standin.dpkg import DebPackage, canonical
from standin.packages import DROP, FILESYSTEM, PLACED
from standin.tree import Entry

_KERNEL = re.compile(r"linux-image-\d")
_PYC = re.compile(r"^(.*)/__pycache__/([^/]+?)\.[^./]+(\.opt-\d)?\.pyc$")


def rpm_name(debian: str, renamed: Mapping[str, str], dropped: frozenset[str]) -> str:
    """The RPM for a Debian package; DROP when it does not go in."""
    if debian in dropped:
        return DROP
    return "kernel" if _KERNEL.match(debian) else renamed.get(debian, debian)


class Owners:
    """Assigns owners. `ours` holds paths that we made and their RPM; they win over everything."""

    def __init__(self, packages: Iterable[DebPackage], names: Mapping[str, str], ours: Mapping[str, str]) -> None:
        self._ours = ours
        self._claims: dict[str, set[str]] = {}
        for package in packages:
            for path in package.files:
                self._claims.setdefault(path, set()).add(names[package.name])
        self._placed = [(re.compile(translate(glob)), owner) for glob, owner in PLACED]

    def assign(self, entries: Iterable[Entry]) -> dict[str, str]:
        """The owner of each entry's path, DROP for what goes nowhere."""
        table = {entry.path: entry for entry in entries}
        return {path: self._owner(entry, table) for path, entry in table.items()}

    def _owner(self, entry: Entry, table: Mapping[str, Entry], depth: int = 0) -> str:
        path = entry.path
        if path in self._ours:
            return self._ours[path]
        for pattern, owner in self._placed:
            if pattern.match(path):
                return owner
        if path.count("/") == 1:
            return FILESYSTEM
        claims = self._claims.get(path)
        if claims:
            return self._claimed(entry, claims)
        if entry.link is not None and depth < 10:
            # Alternatives and enabled units: the link goes with what it leads to.
            target = canonical(posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.link)))
            if target in table and not table[target].is_dir:
                return self._owner(table[target], table, depth + 1)
        compiled = _PYC.match(path)
        source = table.get(f"{compiled[1]}/{compiled[2]}.py") if compiled else None
        if source:
            return self._owner(source, table)
        return self._of_parent(path, table)

    @staticmethod
    def _claimed(entry: Entry, claims: set[str]) -> str:
        kept = claims - {DROP}
        if len(claims) == 1:
            return next(iter(claims))
        # A directory that several packages use belongs to none of them.
        return FILESYSTEM if entry.is_dir else sorted(kept)[0]

    def _of_parent(self, path: str, table: Mapping[str, Entry]) -> str:
        parent = posixpath.dirname(path)
        if path.startswith("/usr/") and parent in table and parent not in self._ours:
            return self._owner(table[parent], table)
        return FILESYSTEM
