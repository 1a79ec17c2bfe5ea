"""The steps with unified kernels on a mounted ESP; `ukis` says what they are called and what systemd-boot is told.

`esp` is the directory that the machine's ESP is mounted at, `image` one with the content of the image's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from twinroot.agent.boot import fat_files, ukis
from twinroot.agent.boot.esp import size_of
from twinroot.agent.boot.ukis import ADDONS, DIRECTORY, ENTRIES, STAGED
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.errors import FormatError
from twinroot.formats.pe import read_section
from twinroot.sandbox.paths import read_text, resolve_inside
from twinroot.units import KIB

_LOADER = "loader"
_LOADER_CONF = "loader.conf"
_LONGEST_LINE = 64 * KIB  # bytes; no kernel takes more than 4 KiB
_TYPE_ONE = "entries.srel"


def names(esp: Path) -> tuple[str, ...]:
    """The names of all that lies beside the kernels of an ESP."""
    return fat_files.names(esp, fat_files.locate(esp, DIRECTORY))


def image_files(image: Path) -> tuple[str, ...]:
    """The kernel of an image and its addons, which is all that is staged; ServicingError unless it has one kernel."""
    source = fat_files.locate(image, DIRECTORY)
    kernel = ukis.only_uki(fat_files.names(image, source))
    addons = fat_files.locate(image, f"{source}/{kernel}{ADDONS}")
    return (f"{source}/{kernel}", *(f"{addons}/{name}" for name in _addons(image, addons)))


def needed(image: Path) -> int:
    """Bytes that the kernel of an image needs on an ESP, with the entry for its trial. FormatError if it is none."""
    files = image_files(image)
    command_line(image, files[0])
    return size_of(image, files) + size_of(image, ())


def command_line(root: Path, kernel: str) -> str:
    """The command line that is part of a kernel, empty without one. FormatError for a file that is no EFI program."""
    place = resolve_inside(root, fat_files.locate(root, kernel))
    try:
        with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = read_section(file, ".cmdline", _LONGEST_LINE)
    except OSError as error:
        raise FormatError(f"it cannot be read: {error.strerror}", where=kernel) from error
    except FormatError as error:
        raise FormatError(error.message, where=kernel) from error
    return (found or b"").rstrip(b"\0").decode("utf-8", "replace")


def whole_command_line(image: Path) -> str:
    """What the kernel of an image and its addons say together, in the order in which systemd-stub joins them."""
    return " ".join(command_line(image, file) for file in image_files(image))


def stage(esp: Path, image: Path) -> None:
    """Put the image's kernel and its addons onto the ESP, under a name that nothing starts."""
    kernel, *addons = image_files(image)
    directory = fat_files.make_directories(esp, DIRECTORY)
    for name in (STAGED, f"{STAGED}{fat_files.NEW}", f"{STAGED}{ADDONS}"):
        fat_files.remove(esp, f"{DIRECTORY}/{name}")
    for addon in addons:
        place = fat_files.make_directories(esp, f"{DIRECTORY}/{STAGED}{ADDONS}")
        name = addon.rpartition("/")[2]
        fat_files.copy_beside(image, addon, place, name)
        fat_files.rename_new(place, name)
    _say_that_entries_have_files(esp)
    fat_files.copy_beside(image, kernel, directory, STAGED)
    fat_files.rename_new(directory, STAGED)


def remove(esp: Path, kernels: Sequence[str]) -> None:
    """Take away kernels and all that belongs to them; no variable may name them then (`ukis.release`)."""
    for name in kernels:
        fat_files.remove(esp, f"{DIRECTORY}/{name}")
        fat_files.remove(esp, f"{DIRECTORY}/{name}{ADDONS}")
        end_trial(esp, name)


def name_staged(esp: Path, volume: AbVolume, install_index: int) -> str:
    """Give the staged kernel the name by which it can start, and return that; its addons come first.

    Where nothing is staged any more, a finalize is repeated: staging left the slot no kernel but that one.
    ServicingError if there is none.
    """
    there = names(esp)
    if STAGED not in there:
        named = ukis.newest(there, volume, install_index)
        if named:
            return named
        message = f"no kernel is staged on the ESP ({DIRECTORY}/{STAGED} is missing)"
        raise ServicingError("find-staged-file", message, hint="stage the update again")
    name = ukis.final_name(there, volume, install_index)
    if f"{STAGED}{ADDONS}" in there:
        fat_files.remove(esp, f"{DIRECTORY}/{name}{ADDONS}")
        fat_files.move(esp, f"{DIRECTORY}/{STAGED}{ADDONS}", f"{DIRECTORY}/{name}{ADDONS}")
    fat_files.move(esp, f"{DIRECTORY}/{STAGED}", f"{DIRECTORY}/{name}")
    return name


def begin_trial(esp: Path, kernel: str) -> None:
    """Make the entry that starts a kernel on trial."""
    text = ukis.trial_text(kernel, command_line(esp, f"{DIRECTORY}/{kernel}"))
    directory = fat_files.make_directories(esp, ENTRIES)
    _replace(directory, ukis.trial_entry(kernel), text)


def end_trial(esp: Path, kernel: str) -> None:
    """Take that entry away; nothing happens where there is none."""
    fat_files.remove(esp, f"{ENTRIES}/{ukis.trial_entry(kernel)}")


def set_default(esp: Path, kernel: str) -> None:
    """Have systemd-boot start a kernel on a machine that has lost its variables."""
    before = read_text(esp, fat_files.locate(esp, f"{_LOADER}/{_LOADER_CONF}")) or ""
    after = ukis.with_default(before, kernel)
    if after != before:
        _replace(fat_files.make_directories(esp, _LOADER), _LOADER_CONF, after)


def _addons(image: Path, directory: str) -> list[str]:
    return [name for name in fat_files.names(image, directory) if name.lower().endswith(".addon.efi")]


def _say_that_entries_have_files(esp: Path) -> None:
    """loader/entries.srel, by which tools know how entries are written (Boot Loader Specification)."""
    if _TYPE_ONE not in fat_files.names(esp, fat_files.locate(esp, _LOADER)):
        _replace(fat_files.make_directories(esp, _LOADER), _TYPE_ONE, "type1\n")


def _replace(directory: Path, name: str, text: str) -> None:
    there = {each.lower(): each for each in fat_files.names(directory, "")}
    found = there.get(name.lower(), name)
    fat_files.write_beside(directory, found, text.encode("utf-8", "surrogateescape"))
    fat_files.rename_new(directory, found)
