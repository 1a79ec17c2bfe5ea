"""Kernel command lines: quoting arguments, and editing them into /etc/default/grub. Pure.

Rules: image behaviour spec §16, §17.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from twinroot.errors import InputError

KERNEL_OPTIONS = "$kernelopts"
_ASSIGNMENT = re.compile(r"([ \t]*(?:export[ \t]+)?)(\w+)=(.*)")
_WORD = re.compile(
    r"""(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<plain>(?:[^\s"'`;&|<>()\\]|\\.)*))"""
    r"(?P<comment>\s+\#.*)?"
)
_KERNEL_OPTIONS = re.compile(r"(?<!\S)\\*\$kernelopts(?!\S)")
_DEFAULT_VARIABLE = "GRUB_CMDLINE_LINUX_DEFAULT"


def join_arguments(arguments: Sequence[str]) -> str:
    """Arguments as one line: an argument with white space is quoted as the kernel reads it.

    The kernel knows double quotes only, and nothing that escapes one: `name="two words"`.
    """
    return " ".join(_quote(argument) for argument in arguments)


def _quote(argument: str) -> str:
    if not re.search(r"\s", argument) or '"' in argument:
        return argument
    name, equals, value = argument.partition("=")
    return f'{name}="{value}"' if equals and not re.search(r"\s", name) else f'"{argument}"'


def in_double_quotes(text: str) -> str:
    """`text` between double quotes for a shell file such as /etc/default/grub; `$` stays a literal dollar."""
    return f'"{_escape(text)}"'


def _escape(text: str) -> str:
    return re.sub(r'([\\"`$])', r"\\\1", text)


def append_to_default_grub(text: str, arguments: Sequence[str]) -> str:
    """/etc/default/grub with arguments added to GRUB_CMDLINE_LINUX_DEFAULT: before a `$kernelopts`, else last.

    The variable is added behind the last assignment at the top level where it is missing. Everything else stays as it
    is, a reference to another variable included. InputError when the present value is beyond us.
    """
    if not arguments:
        return text
    lines = text.removesuffix("\n").split("\n") if text else []
    added = _escape(join_arguments(arguments))
    found = [(place, match) for place, line in enumerate(lines) if (match := _ASSIGNMENT.match(line))]
    ours = [(place, match) for place, match in found if match[2] == _DEFAULT_VARIABLE]
    if ours:
        # The shell lets the last assignment win.
        place, match = ours[-1]
        present, comment = _double_quoted(match[3])
        lines[place] = f'{match[1]}{_DEFAULT_VARIABLE}="{_insert(present, added)}"{comment}'
    else:
        top = [place for place, match in found if not match[1].startswith((" ", "\t")) and _ends_here(match[3])]
        lines.insert(top[-1] + 1 if top else len(lines), f'{_DEFAULT_VARIABLE}="{added}"')
    return "\n".join(lines) + "\n"


def _insert(present: str, added: str) -> str:
    """The text between double quotes with more arguments in it, all of it as the shell file has it."""
    place = _KERNEL_OPTIONS.search(present)
    if place is None:
        return f"{present} {added}".strip()
    before, behind = present[: place.start()].rstrip(), present[place.end() :].strip()
    return " ".join(part for part in (before, added, _escape(KERNEL_OPTIONS), behind) if part)


def _double_quoted(value: str) -> tuple[str, str]:
    """A shell word as /etc/default/grub has them (plain, 'single' or "double" quoted) as what stands between double
    quotes, and the comment behind it."""
    match = _WORD.fullmatch(value.strip())
    if match is None:
        raise InputError(
            f"/etc/default/grub of the base image sets {_DEFAULT_VARIABLE} in a way that cannot be edited: {value}",
            hint="reset it with os.bootloader.resetType: hard-reset",
        )
    comment = match["comment"] or ""
    if match["double"] is not None:
        return match["double"], comment
    if match["single"] is not None:
        return _escape(match["single"]), comment
    return re.sub(r"\\(.)", lambda escaped: _escape(escaped[1]), match["plain"]), comment


def _ends_here(value: str) -> bool:
    return _WORD.fullmatch(value.strip()) is not None
