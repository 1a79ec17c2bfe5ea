"""`os.modules`: kernel modules, whether they are loaded and with which options (image behaviour spec §14).

Three files belong to us: what is loaded at the start, what is never loaded on request, and options. In the names of
modules `-` and `_` are the same (modprobe.d(5)); apart from that names match as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Protocol

from twinroot.errors import InputError
from twinroot.sandbox.paths import place_file, read_text

_PATHS = {
    "load": "/etc/modules-load.d/modules-load.conf",
    "disabled": "/etc/modprobe.d/modules-disabled.conf",
    "options": "/etc/modprobe.d/module-options.conf",
}


class Module(Protocol):
    """A module of a configuration; `load_mode` is always, auto, disable, or inherit or None to leave it as it is."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def load_mode(self) -> str | None:
        """Whether it is loaded."""

    @property
    def options(self) -> Mapping[str, str]:
        """Its options."""


@dataclass(frozen=True)
class ModuleFiles:
    """The texts of the three files; empty for one that is not there."""

    load: str = ""
    disabled: str = ""
    options: str = ""


def apply_modules(root: Path, modules: Sequence[Module]) -> None:
    """Configure the modules; files that do not change are not written."""
    before = ModuleFiles(**{name: read_text(root, path) or "" for name, path in _PATHS.items()})
    after = configure(before, modules)
    for field in fields(ModuleFiles):
        text = getattr(after, field.name)
        if text != getattr(before, field.name):
            place_file(root, _PATHS[field.name], text, follow=True)


def configure(files: ModuleFiles, modules: Sequence[Module]) -> ModuleFiles:
    """The files with the modules configured, one after the other. InputError for options of a disabled module."""
    for module in modules:
        files = _configure(files, module)
    return files


def _configure(files: ModuleFiles, module: Module) -> ModuleFiles:
    name = module.name
    match module.load_mode:
        case "always":
            files = replace(files, disabled=_without(files.disabled, ("blacklist", name)))
            files = replace(files, load=_with(files.load, (name,)))
        case "auto":
            files = replace(files, disabled=_without(files.disabled, ("blacklist", name)))
            files = replace(files, load=_without(files.load, (name,)))
        case "disable":
            files = replace(files, disabled=_with(files.disabled, ("blacklist", name)))
            files = replace(files, load=_without(files.load, (name,)))
        case _:
            if module.options and _has(files.disabled, ("blacklist", name)):
                raise InputError(
                    f"os.modules: the module '{name}' is disabled in the image ({_PATHS['disabled']}), so it may not "
                    "have options",
                    hint="give it a loadMode of always or auto, or take its options away",
                )
    return replace(files, options=_with_options(files.options, name, module.options)) if module.options else files


def _words(line: str) -> tuple[str, ...]:
    return tuple(line.split()) if not line.lstrip().startswith(("#", ";")) else ()


def _is(line: str, wanted: Sequence[str]) -> bool:
    """Whether a line begins with these words, the last of which is the name of a module."""
    words = _words(line)[: len(wanted)]
    return len(words) == len(wanted) and words[:-1] == tuple(wanted[:-1]) and _same(words[-1], wanted[-1])


def _same(one: str, other: str) -> bool:
    return one.replace("-", "_") == other.replace("-", "_")


def _has(text: str, wanted: Sequence[str]) -> bool:
    return any(_is(line, wanted) for line in text.splitlines())


def _with(text: str, wanted: Sequence[str]) -> str:
    return text if _has(text, wanted) else _lines([*text.splitlines(), " ".join(wanted)])


def _without(text: str, unwanted: Sequence[str]) -> str:
    return _lines(line for line in text.splitlines() if not _is(line, unwanted)) if _has(text, unwanted) else text


def _with_options(text: str, name: str, options: Mapping[str, str]) -> str:
    """Values of options that are there are replaced, others kept, new ones appended in the order given."""
    lines = text.replace("\\\n", " ").splitlines()
    places = [index for index, line in enumerate(lines) if _is(line, ("options", name))]
    left = dict(options)
    for index in places:
        words = lines[index].split()
        for position, word in enumerate(words[2:], 2):
            key, equals, _ = word.partition("=")
            if equals and key in options:
                words[position] = f"{key}={options[key]}"
                left.pop(key, None)
        lines[index] = " ".join(words)
    added = [f"{key}={value}" for key, value in left.items()]
    if not places:
        lines.append(" ".join(("options", name, *added)))
    elif added:
        lines[places[-1]] = " ".join((lines[places[-1]], *added))
    return _lines(lines)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
