"""Kernel command lines: quoting arguments, and editing them into /etc/default/grub. Pure.

Rules: image behaviour spec §16, §17.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from twinroot.errors import InputError

KERNEL_OPTIONS = "$kernelopts"
_ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+)?(\w+)=(.*)$")
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
    escaped = re.sub(r'([\\"`$])', r"\\\1", text)
    return f'"{escaped}"'


def append_to_default_grub(text: str, arguments: Sequence[str]) -> str:
    """/etc/default/grub with arguments added to GRUB_CMDLINE_LINUX_DEFAULT: before a final `$kernelopts`, else last.

    The variable is added behind the last assignment where it is missing. Everything else stays as it is.
    """
    if not arguments:
        return text
    lines = text.splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if (m := _ASSIGNMENT.match(line)) and m.group(1) == _DEFAULT_VARIABLE]
    if not places:
        assignments = [i for i, line in enumerate(lines) if _ASSIGNMENT.match(line)]
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        at = assignments[-1] + 1 if assignments else len(lines)
        lines.insert(at, f"{_DEFAULT_VARIABLE}={in_double_quotes(join_arguments(arguments))}\n")
        return "".join(lines)
    # The shell lets the last assignment win.
    place = places[-1]
    match = _ASSIGNMENT.match(lines[place])
    assert match is not None
    words = _unquote(match.group(2)).split()
    kept = [word for word in words if word.lstrip("\\") != KERNEL_OPTIONS]
    tail = [KERNEL_OPTIONS] if len(kept) < len(words) else []
    value = " ".join([*kept, join_arguments(arguments), *tail])
    lines[place] = f"{_DEFAULT_VARIABLE}={in_double_quotes(value)}\n"
    return "".join(lines)


def _unquote(value: str) -> str:
    """The text of a shell word as /etc/default/grub has them: plain, 'single' or "double" quoted."""
    value = value.strip()
    if value.startswith("'") and value.find("'", 1) == len(value) - 1:
        return value[1:-1]
    if value.startswith('"') and value.endswith('"') and len(value) > 1:
        return re.sub(r'\\([\\"`$])', r"\1", value[1:-1])
    if re.search(r"[\s\"'`;]", value):
        raise InputError(
            f"/etc/default/grub of the base image sets {_DEFAULT_VARIABLE} in a way that cannot be edited: {value}",
            hint="reset it with os.bootloader.resetType: hard-reset",
        )
    return value
