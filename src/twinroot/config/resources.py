"""Looking for what a configuration names on this host: files, directories, places for output (spec section 6.1)."""

from __future__ import annotations

import stat
from pathlib import Path

from twinroot.config.image.host_paths import HostPath, Kind, host_paths
from twinroot.config.load import LoadedConfig
from twinroot.errors import Problem

_OVERRIDABLE = ("input", "output")  # sections of which the last file of a chain counts, and the command line over it


def resource_problems(loaded: LoadedConfig, *, input_and_output: bool) -> list[Problem]:
    """What is missing or of the wrong kind, of all that the files of a configuration name.

    Package lists are not looked at: they have been read with the files.
    """
    problems = []
    for file in loaded.files:
        for found in host_paths(file.config):
            message = None if found.key[0] in _OVERRIDABLE else _complaint(found, file.resolve(found.path))
            if not message and found.key[0] == "scripts" and not script_in_directory(file.path.parent, found.path):
                message = f"the path leads out of the directory of the configuration file: {found.path}"
            if message:
                problems.append(file.document.problem(found.key, message))
    for found in host_paths(loaded.config) if input_and_output else ():
        path = loaded.resolve(found.key) if found.key[0] in _OVERRIDABLE else None
        message = (
            _complaint(found, path, into_directory=loaded.config.output.image.format == "pxe-dir") if path else None
        )
        if message:
            problems.append(loaded.document.problem(found.key, message))
    return problems


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
    if found.kind is Kind.LIST or is_directory == wants_directory:
        return None
    this, wanted = ("file", "directory") if wants_directory else ("directory", "file")
    return f"this is a {this}, a {wanted} is wanted: {path}"
