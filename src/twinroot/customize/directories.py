"""`os.additionalDirs`: directories of the host copied into the image (image behaviour spec §12)."""

from __future__ import annotations

from pathlib import Path

from twinroot.config.image.file import ConfigFile
from twinroot.config.image.files import AdditionalDir
from twinroot.config.image.os import Os
from twinroot.config.problems import KeyPath
from twinroot.customize.copying import Modes, copy_tree
from twinroot.customize.files import absolute, check_place
from twinroot.plan.disk import PlannedDisk

_DEFAULT = 0o755


def place_directories(root: Path, file: ConfigFile, disk: PlannedDisk) -> None:
    """Carry out one file's section; ConfigError showing the entry at fault."""
    for index, wanted in enumerate((file.config.os or Os()).additional_dirs):
        key: KeyPath = ("os", "additionalDirs", index)
        path = absolute(wanted.destination)
        check_place(root, path, (*key, "destination"), file)
        with file.blaming(key):
            copy_tree(file.resolve(wanted.source), root, path, disk, modes(wanted))


def modes(wanted: AdditionalDir) -> Modes:
    """The permissions of an entry, with its defaults; directories above the destination are made like new ones."""
    new = _DEFAULT if wanted.new_dir_permissions is None else wanted.new_dir_permissions
    return Modes(
        file=_DEFAULT if wanted.child_file_permissions is None else wanted.child_file_permissions,
        new_directory=new,
        merged=wanted.merged_dir_permissions,
        parents=new,
    )
