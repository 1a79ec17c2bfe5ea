"""grub.cfg: finding the kernels' lines in it, and editing their arguments in place. Pure.

Syntax: grub manual, "Writing full configuration files directly"; rules: image behaviour spec §17 and §18. Only what
changes is touched, everything else stays as it is, byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from twinroot.boot.command_line import KERNEL_OPTIONS, argument_name, unquoted

_LINUX = ("linux", "linux16", "linuxefi")
_DEFAULT_OPTIONS = "kernelopts="
_KEYWORDS = ("then", "else", "do", "if", "elif")
_RECOVERY = re.compile(r"\b(recovery|rescue)\b", re.IGNORECASE)
_SAFE = re.compile(r"[A-Za-z0-9_./:,=+@%^~-]+")
_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|\\\n|(?<![^\s;])\#[^\n]*)|(?P<end>[\n;|&<>])|(?P<word>(?:'[^']*'?|"(?:[^"\\]|\\.)*"?|\\.|"""
    r"""[^\s;'"\\|&<>])+)|(?P<rest>.)""",
    re.DOTALL,
)
_PART = re.compile(
    r"""'(?P<single>[^']*)'?|"(?P<double>(?:[^"\\]|\\.)*)"?|\\(?P<escaped>.)|(?P<plain>[^'"\\]+)""", re.DOTALL
)


@dataclass(frozen=True)
class Word:
    """A word of a script: its value without quotes (variables as written), and where it stands."""

    value: str
    start: int
    end: int

    @property
    def is_kernel_options(self) -> bool:
        """Whether it is the variable that stands for arguments kept elsewhere."""
        return self.value in (KERNEL_OPTIONS, "${kernelopts}")


@dataclass(frozen=True)
class KernelLine:
    """One command that loads a kernel. `arguments` are behind the kernel's path; `recovery`: a rescue entry's."""

    kernel: Word
    arguments: tuple[Word, ...]
    recovery: bool


def kernel_lines(text: str) -> tuple[KernelLine, ...]:
    """Every command that loads a kernel, in order."""
    lines: list[KernelLine] = []
    blocks: list[bool] = []
    for words in _commands(text):
        while words and words[0].value in _KEYWORDS:
            words = words[1:]
        if not words:
            continue
        name = words[0].value
        if name == "}" and blocks:
            blocks.pop()
        elif words[-1].value == "{":
            title = words[1].value if len(words) > 1 and name in ("menuentry", "submenu") else ""
            blocks.append(any(blocks) or _RECOVERY.search(title) is not None)
        elif name in _LINUX and len(words) > 1:
            lines.append(KernelLine(words[1], tuple(words[2:]), any(blocks)))
    return tuple(lines)


def uses_entry_files(text: str) -> bool:
    """Whether the script takes its menu from files of the Boot Loader Specification."""
    return any(words and words[0].value == "blscfg" for words in _commands(text))


def append_arguments(text: str, arguments: Sequence[str]) -> str:
    """The script with arguments on the line of every kernel but those of rescue entries."""
    added = _as_words(arguments)
    lines = [line for line in kernel_lines(text) if not line.recovery]
    return _spliced(text, [_insertion(line, added) for line in lines]) if added else text


def append_script(text: str, word: str, behind: str) -> str:
    """The script with a word as it is at the end of every kernel's line, such as a variable, and a line behind it.

    Rescue entries and lines that have the word stay as they are.
    """
    edits = []
    for line in kernel_lines(text):
        if not line.recovery and all(argument.value != word for argument in line.arguments):
            end = (line.kernel, *line.arguments)[-1].end
            edits.append((end, end, f" {word}\n{behind}"))
    return _spliced(text, edits)


def replace_arguments(text: str, names: Sequence[str], arguments: Sequence[str]) -> str:
    """The script with all arguments of these names gone from every kernel's line, and new ones in their place."""
    added, edits = _as_words(arguments), []
    for line in kernel_lines(text):
        before = line.kernel.end
        gone = [word for word in line.arguments if argument_name(word.value) in names]
        for word in line.arguments:
            if word in gone:
                edits.append((before, word.end, f" {added}" if added and word == gone[-1] else ""))
            before = word.end
        if not gone and added:
            edits.append(_insertion(line, added))
    return _spliced(text, edits)


def default_options(text: str) -> str | None:
    """What a script sets `kernelopts` to, for kernels whose entry files name no options; None where it does not."""
    word = _default_options(text)
    return word.value.removeprefix(_DEFAULT_OPTIONS) if word else None


def edit_default_options(text: str, edit: Callable[[str], str]) -> str:
    """The script with another value for `kernelopts`, where it sets one."""
    word = _default_options(text)
    if word is None:
        return text
    value = re.sub(r'(["\\])', r"\\\1", edit(word.value.removeprefix(_DEFAULT_OPTIONS)))
    return f'{text[: word.start]}{_DEFAULT_OPTIONS}"{value}"{text[word.end :]}'


def _default_options(text: str) -> Word | None:
    for words in _commands(text):
        if len(words) == 2 and words[0].value == "set" and words[1].value.startswith(_DEFAULT_OPTIONS):
            return words[1]
    return None


def _insertion(line: KernelLine, added: str) -> tuple[int, int, str]:
    """Before `$kernelopts` where that is on the line, else at its end."""
    for word in line.arguments:
        if word.is_kernel_options:
            return word.start, word.start, f"{added} "
    end = (line.kernel, *line.arguments)[-1].end
    return end, end, f" {added}"


def _spliced(text: str, edits: Sequence[tuple[int, int, str]]) -> str:
    for start, end, new in reversed(edits):
        text = text[:start] + new + text[end:]
    return text


def _as_words(arguments: Sequence[str]) -> str:
    """Arguments as words of a script. grub quotes for the kernel what has spaces, so each is one word, unquoted."""
    return " ".join(_as_word(unquoted(argument)) for argument in arguments)


def _as_word(value: str) -> str:
    if _SAFE.fullmatch(value):
        return value
    return f"'{value}'" if "'" not in value else '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def _commands(text: str) -> Iterator[list[Word]]:
    """The words of one command after the other. `{` ends the command that opens a block; `}` is one of its own."""
    words: list[Word] = []
    for match in _TOKEN.finditer(text):
        raw = match["word"]
        if raw is None:
            if match["end"] is not None and words:
                yield words
                words = []
            continue
        words.append(Word(_value(raw), match.start(), match.end()))
        if raw == "}" and len(words) > 1:
            yield words[:-1]
            words = words[-1:]
        if raw in ("{", "}"):
            yield words
            words = []
    if words:
        yield words


def _value(raw: str) -> str:
    found = []
    for match in _PART.finditer(raw):
        if match["double"] is not None:
            found.append(re.sub(r'\\(["\\$])', r"\1", match["double"]))
        else:
            found.append(match["single"] or match["escaped"] or match["plain"] or "")
    return "".join(found)
