"""Looking for what a configuration names on this host: files, directories, places for output (spec section 6.1)."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from twinroot.config.image.file import ConfigFile
from twinroot.config.image.host_paths import HostPath, Kind
from twinroot.config.load import ReadConfig
from twinroot.config.problems import Finding
from twinroot.config.section import UnreadableError
from twinroot.errors import Problem

_OVERRIDABLE = ("input", "output")  # sections of which the last file of a chain counts, and the command line over it


def resource_problems(read: ReadConfig, *, input_and_output: bool) -> list[Problem]:
    """What is missing or of the wrong kind, of all that the files of a configuration name, right or not.

    Package lists and base configurations are not looked at: they have been read with the files.
    """
    problems = [problem for file in read.files for problem in file.placed(_in_file(file))]
    return [*problems, *read.placed(_input_and_output(read))] if input_and_output else problems


def _in_file(file: ConfigFile) -> Iterator[Finding]:
    for found in file.paths:
        message = None if found.key[0] in _OVERRIDABLE else _complaint(found, file.resolve(found.path))
        if not message and found.key[0] == "scripts" and not script_in_directory(file.path.parent, found.path):
            message = f"the path leads out of the directory of the configuration file: {found.path}"
        if message:
            yield Finding(found.key, message)


def _input_and_output(read: ReadConfig) -> Iterator[Finding]:
    into_directory = True  # allowed, when the format is wrong: what the path should be is not known then
    with suppress(UnreadableError):
        into_directory = read.config.output.image.format == "pxe-dir"
    for found in read.paths:
        path = read.resolve(found.key) if found.key[0] in _OVERRIDABLE else None
        message = _complaint(found, path, into_directory=into_directory) if path else None
        if message:
            yield Finding(found.key, message)


def script_in_directory(directory: Path, path: str) -> str | None:
    """The path of a script relative to the directory, links followed; None when that leads out of it."""
    try:
        return str((directory / path).resolve().relative_to(directory.resolve()))
    except ValueError:
        return None


def _complaint(found: HostPath, path: Path, *, into_directory: bool = False) -> str | None:
    """What is wrong with what is there, None when nothing is."""
    try:
        is_directory = stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        missing = found.kind in (Kind.FILE, Kind.DIRECTORY)
        return f"there is no such {found.kind.value}: {path}" if missing else None
    except OSError as error:
        return f"the {found.kind.value} cannot be read: {path}: {error.strerror}"
    wants_directory = found.kind in (Kind.DIRECTORY, Kind.OUTPUT_DIRECTORY)
    if found.kind is Kind.OUTPUT_FILE and into_directory:
        wants_directory = is_directory
    if found.kind in (Kind.LIST, Kind.CONFIG) or is_directory == wants_directory:
        return None
    this, wanted = ("file", "directory") if wants_directory else ("directory", "file")
    return f"this is a {this}, a {wanted} is wanted: {path}"
