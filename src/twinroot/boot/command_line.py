"""Kernel command lines: quoting arguments, and editing them into /etc/default/grub. Pure.

Rules: image behaviour spec §16, §17.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from twinroot.errors import InputError

KERNEL_OPTIONS = "$kernelopts"
_ASSIGNMENT = re.compile(r"([ \t]*(?:export[ \t]+)?)(\w+)=(.*)")
_WORD = re.compile(
    r"""(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<plain>(?:[^\s"'`;&|<>()\\]|\\.)*))"""
    r"(?P<comment>\s+\#.*)?"
)
# White space, and what grub's scripts read as operators, blocks and comments (grub-core/script/yylex.l).
_ENDS_A_WORD = re.compile(r"[\s;|&<>{}]|^#")
_KERNEL_OPTIONS = re.compile(r"(?<!\S)\\*\$kernelopts(?!\S)")
_COMMAND_LINE = "GRUB_CMDLINE_LINUX"
_DEFAULT_VARIABLE = "GRUB_CMDLINE_LINUX_DEFAULT"
# In a shell's double quotes a quote of the kernel's is escaped.
_IN_SHELL = '\\"'


def join_arguments(arguments: Sequence[str]) -> str:
    """Arguments as one line: what has white space, or what ends a word of grub's, is quoted as the kernel reads it.

    The kernel knows double quotes only, and nothing that escapes one: `name="two words"`. grub takes them off, and puts
    them back around what has spaces.
    """
    return " ".join(_quote(argument) for argument in arguments)


def _quote(argument: str) -> str:
    if not _ENDS_A_WORD.search(argument) or '"' in argument:
        return argument
    name, equals, value = argument.partition("=")
    return f'{name}="{value}"' if equals and not _ENDS_A_WORD.search(name) else f'"{argument}"'


def split_arguments(line: str, quote: str = '"') -> list[tuple[int, int]]:
    """Where the arguments of a command line begin and end: white space separates them, outside of quotes only."""
    found: list[tuple[int, int]] = []
    start, inside, place = -1, False, 0
    while place < len(line):
        if line.startswith(quote, place):
            inside = not inside
            start = place if start < 0 else start
            place += len(quote)
            continue
        if line[place].isspace() and not inside:
            if start >= 0:
                found.append((start, place))
            start = -1
        elif start < 0:
            start = place
        place += 1
    return [*found, (start, len(line))] if start >= 0 else found


def words_of(line: str) -> list[str]:
    """The arguments of a command line, quotes taken off as the kernel does."""
    return [unquoted(line[start:end]) for start, end in split_arguments(line)]


def unquoted(argument: str) -> str:
    """An argument without the quotes around it or around its value (lib/cmdline.c of the kernel)."""
    if len(argument) > 1 and argument.startswith('"'):
        return argument[1:].removesuffix('"')
    name, equals, value = argument.partition('="')
    return f"{name}={value.removesuffix(chr(34))}" if equals and name else argument


def argument_name(argument: str) -> str:
    """What stands before the `=`."""
    return argument.lstrip('\\"').split("=", 1)[0]


def append_in_line(line: str, added: str) -> str:
    """A command line with more arguments: before a `$kernelopts`, else last."""
    return _insert(line, added, KERNEL_OPTIONS) if added else line


def replace_in_line(line: str, names: Sequence[str], added: str, quote: str = '"') -> str:
    """A command line without arguments of these names, and with others where the last of them was, else appended."""
    spans = split_arguments(line, quote)
    gone = [index for index, (start, end) in enumerate(spans) if argument_name(line[start:end]) in names]
    if not gone:
        return (
            _insert(line, added, _escape(KERNEL_OPTIONS) if quote == _IN_SHELL else KERNEL_OPTIONS) if added else line
        )
    for index in reversed(gone):
        start, end = spans[index]
        if added and index == gone[-1]:
            line = line[:start] + added + line[end:]
        elif index:
            line = line[: spans[index - 1][1]] + line[end:]
        else:
            line = line[:start] + line[end:].lstrip()
    return line


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
    added = _escape(join_arguments(arguments))
    return _edited(text, _DEFAULT_VARIABLE, lambda present: _insert(present, added, _escape(KERNEL_OPTIONS)))


def replace_in_default_grub(text: str, names: Sequence[str], arguments: Sequence[str]) -> str:
    """/etc/default/grub without arguments of these names, and with new ones in GRUB_CMDLINE_LINUX.

    They go where the last was, else at the end. GRUB_CMDLINE_LINUX_DEFAULT, which comes later on the kernel's line,
    loses them too. InputError when a present value is beyond us.
    """
    added = _escape(join_arguments(arguments))
    if _assignments(text, _DEFAULT_VARIABLE):
        text = _edited(text, _DEFAULT_VARIABLE, lambda present: replace_in_line(present, names, "", _IN_SHELL))
    if not added and not _assignments(text, _COMMAND_LINE):
        return text
    return _edited(text, _COMMAND_LINE, lambda present: replace_in_line(present, names, added, _IN_SHELL))


def _assignments(text: str, variable: str) -> list[tuple[int, re.Match[str]]]:
    found = [(place, match) for place, line in enumerate(_lines(text)) if (match := _ASSIGNMENT.match(line))]
    return [(place, match) for place, match in found if not variable or match[2] == variable]


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _edited(text: str, variable: str, edit: Callable[[str], str]) -> str:
    """The file with the last assignment of a variable, which is the one that counts, edited; or with a new one.

    A `$kernelopts` that the shell would expand is repaired: it is for grub.
    """
    lines = _lines(text)
    ours = _assignments(text, variable)
    if ours:
        place, match = ours[-1]
        present, comment = _double_quoted(match[3], variable)
        value = _KERNEL_OPTIONS.sub(lambda _: _escape(KERNEL_OPTIONS), edit(present))
        lines[place] = f'{match[1]}{variable}="{value}"{comment}'
    else:
        found = _assignments(text, "")
        top = [place for place, match in found if not match[1].startswith((" ", "\t")) and _ends_here(match[3])]
        lines.insert(top[-1] + 1 if top else len(lines), f'{variable}="{edit("")}"')
    return "\n".join(lines) + "\n"


def _insert(present: str, added: str, options: str) -> str:
    """A command line with more arguments in it; `options` is how `$kernelopts` is to be written there."""
    place = _KERNEL_OPTIONS.search(present)
    if place is None:
        return f"{present} {added}".strip()
    before, behind = present[: place.start()].rstrip(), present[place.end() :].strip()
    return " ".join(part for part in (before, added, options, behind) if part)


def _double_quoted(value: str, variable: str) -> tuple[str, str]:
    """A shell word as /etc/default/grub has them (plain, 'single' or "double" quoted) as what stands between double
    quotes, and the comment behind it."""
    match = _WORD.fullmatch(value.strip())
    if match is None:
        raise InputError(
            f"/etc/default/grub of the base image sets {variable} in a way that cannot be edited: {value}",
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
