"""Users and groups as the files of a system name them (passwd(5), group(5), shadow(5), login.defs(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from twinroot.sandbox.paths import read_file

_SETTING = re.compile(r"\s*([A-Z_0-9]+)\s+(\S+)")


@dataclass(frozen=True)
class Account:
    """A line of /etc/passwd (passwd(5))."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


def read_accounts(root: Path) -> dict[str, Account]:
    """The users of an image by their names. Of a name that is there twice the first counts, as for getpwnam(3)."""
    return parse_passwd(_text(root, "/etc/passwd"))


def read_groups(root: Path) -> dict[str, int]:
    """The group ids of an image by the names of the groups."""
    return parse_group(_text(root, "/etc/group"))


def read_last_changes(root: Path) -> dict[str, str]:
    """The days on which passwords were changed last, by the names of the users; empty where no day is known."""
    return {fields[0]: fields[2] for fields in _rows(_text(root, "/etc/shadow"), 9)}


def login_settings(root: Path) -> dict[str, str]:
    """The settings of /etc/login.defs (login.defs(5))."""
    found = map(_SETTING.match, _text(root, "/etc/login.defs").splitlines())
    return {match[1]: match[2] for match in found if match}


def parse_passwd(text: str) -> dict[str, Account]:
    """The accounts of a passwd file; lines that are none are passed over, as the C library does."""
    found: dict[str, Account] = {}
    for name, _, uid, gid, _, home, shell in _rows(text, 7):
        if _is_id(uid) and _is_id(gid):
            found.setdefault(name, Account(name, int(uid), int(gid), home, shell))
    return found


def parse_group(text: str) -> dict[str, int]:
    """The ids of a group file by their names."""
    found: dict[str, int] = {}
    for name, _, gid, _ in _rows(text, 4):
        if _is_id(gid):
            found.setdefault(name, int(gid))
    return found


def group_id(name: str, groups: Mapping[str, int]) -> int | None:
    """The id of a group, named by its name or, as shadow-utils allow it, by its number; None if there is none."""
    if name in groups:
        return groups[name]
    return int(name) if _is_id(name) and int(name) in groups.values() else None


def _rows(text: str, count: int) -> Iterator[list[str]]:
    rows = (line.split(":") for line in text.splitlines())
    return (row for row in rows if len(row) == count and row[0])


def _text(root: Path, path: str) -> str:
    return (read_file(root, path) or b"").decode("utf-8", "surrogateescape")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10
