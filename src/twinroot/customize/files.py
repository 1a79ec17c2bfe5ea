"""`os.additionalFiles`: files into the image (image behaviour spec §12). They belong to root.

A link in place of a file gives way to the file, so that neither what it leads to is overwritten (/etc/localtime), nor
the file lost where it leads nowhere before the system runs (/etc/resolv.conf). Links to directories on the way are
followed, inside the image.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from twinroot.config.image.file import ConfigFile
from twinroot.config.image.files import AdditionalFile
from twinroot.config.image.os import Os
from twinroot.config.problems import KeyPath
from twinroot.customize.copying import copy_file, steady_times
from twinroot.epoch import source_date_epoch
from twinroot.errors import InputError
from twinroot.plan.disk import PlannedDisk
from twinroot.sandbox.paths import inside, open_new, resolve_inside

log = logging.getLogger(__name__)

_CONTENT_MODE = 0o644
_OF_THE_KERNEL = ("dev", "proc", "sys")
_IN_MEMORY = ("run", "tmp")


def place_files(root: Path, file: ConfigFile, disk: PlannedDisk) -> None:
    """Carry out one file's section; ConfigError showing the entry at fault."""
    for index, wanted in enumerate((file.config.os or Os()).additional_files):
        key: KeyPath = ("os", "additionalFiles", index)
        path = absolute(wanted.destination)
        check_place(root, path.rpartition("/")[0], (*key, "destination"), file)
        if wanted.source is None:
            with file.blaming((*key, "destination")), steady_times(root, path):
                _write_content(root, path, wanted)
        else:
            with file.blaming((*key, "source")), steady_times(root, path):
                copy_file(file.resolve(wanted.source), root, path, disk, mode=wanted.permissions)


def absolute(destination: str) -> str:
    """A destination as a path from the root of the image, which is what a relative one is relative to."""
    return destination if destination.startswith("/") else f"/{destination}"


def check_place(root: Path, directory: str, key: KeyPath, file: ConfigFile) -> None:
    """ConfigError for directories that are the kernel's; a warning for those whose content ends with the build."""
    with file.blaming(key):
        top = inside(root, resolve_inside(root, directory)).split("/")[1]
    if top in _OF_THE_KERNEL:
        raise file.refusal(key, f"/{top} is the kernel's, and holds no files of the image")
    if top in _IN_MEMORY:
        where = file.document.problem(key, "").where
        log.warning(
            "%s: /%s is in memory: scripts will find this there, the finished image will not have it", where, top
        )


def _write_content(root: Path, path: str, wanted: AdditionalFile) -> None:
    with open_new(root, path) as writing:
        try:
            writing.write((wanted.content or "").encode())
        except UnicodeEncodeError as error:
            raise InputError("the text holds characters that cannot be written as UTF-8") from error
        writing.flush()
        os.fchmod(writing.fileno(), _CONTENT_MODE if wanted.permissions is None else wanted.permissions)
        time = source_date_epoch()
        if time is not None:
            os.utime(writing.fileno(), (time, time))
