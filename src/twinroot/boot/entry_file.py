"""Entry files of the Boot Loader Specification, /boot/loader/entries/*.conf. Pure.

The options of several `options` lines count one after the other. Rules: image behaviour spec §18.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from twinroot.boot.command_line import append_in_line, join_arguments, replace_in_line

ENTRIES = "/boot/loader/entries"
_OPTIONS = re.compile(r"^(options[ \t]+)(.*)$", re.MULTILINE)
_FILES = re.compile(r"^((?:linux|initrd)[ \t]+)(.+)$", re.MULTILINE)
_RECOVERY = re.compile(r"^title\b.*\b(?:recovery|rescue)\b", re.MULTILINE | re.IGNORECASE)


def is_recovery(name: str, text: str) -> bool:
    """Whether an entry is for rescue, by its title or by its file name as distributions give it."""
    return _RECOVERY.search(text) is not None or "-rescue" in PurePosixPath(name).stem


def options(text: str) -> str | None:
    """The kernel's arguments; None when the entry names none."""
    found = [match[2].strip() for match in _OPTIONS.finditer(text)]
    return " ".join(found) if found else None


def append_options(text: str, arguments: Sequence[str]) -> str:
    """The entry with arguments on its last line of options: before `$kernelopts`, else at the end."""
    added, lines = join_arguments(arguments), list(_OPTIONS.finditer(text))
    if not lines:
        return f"{text.rstrip()}\noptions {added}\n" if added else text
    last = lines[-1]
    return f"{text[: last.start()]}{last[1]}{append_in_line(last[2], added)}{text[last.end() :]}"


def replace_options(text: str, names: Sequence[str], arguments: Sequence[str]) -> str:
    """The entry with all arguments of these names gone, and new ones where the last of them was, else appended."""
    added = join_arguments(arguments)
    lines = [match for match in _OPTIONS.finditer(text) if replace_in_line(match[2], names, "") != match[2]]
    if not lines:
        return append_options(text, arguments) if added else text
    for match in reversed(lines):
        line = replace_in_line(match[2], names, added if match is lines[-1] else "")
        text = f"{text[: match.start()]}{match[1]}{line}{text[match.end() :]}"
    return text


def set_options(text: str, line: str) -> str:
    """The entry with these options and no others."""
    kept = _OPTIONS.sub("\0", text).replace("\0\n", "").replace("\0", "")
    return f"{kept.rstrip()}\noptions {line}\n"


def move_files(text: str, directory: str) -> str:
    """The entry with its kernel and initramfs in a directory of the file system that grub looks at."""
    return _FILES.sub(lambda match: f"{match[1]}{_moved(match[2], directory)}", text)


def _moved(paths: str, directory: str) -> str:
    return " ".join(
        path if path.startswith("$") else f"{directory.rstrip('/')}/{path.removeprefix('/boot').lstrip('/')}"
        for path in paths.split()
    )
