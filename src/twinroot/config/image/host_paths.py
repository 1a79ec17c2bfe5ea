"""Which keys hold paths on the build host, and what for (image-config spec, sections 6.1 and 7). Pure.

They are taken from the document, not from its model, so that a mistake elsewhere hides none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum

from twinroot.config.document import Document, Scalar
from twinroot.config.problems import KeyPath
from twinroot.config.uses import Pattern


class Kind(Enum):
    """What a path stands for."""

    FILE = "file"
    DIRECTORY = "directory"
    LIST = "package list"
    CONFIG = "base configuration"
    OUTPUT_FILE = "output file"
    OUTPUT_DIRECTORY = "output directory"


_PASSWORD = Pattern("os.users[].password.value")  # a path if the type of the password says so
_PATHS: tuple[tuple[Kind, Pattern], ...] = (
    (Kind.CONFIG, Pattern("baseConfigs[].path")),
    (Kind.FILE, Pattern("input.image.path")),
    (Kind.FILE, Pattern("iso.additionalFiles[].source")),
    (Kind.FILE, Pattern("pxe.additionalFiles[].source")),
    (Kind.FILE, Pattern("os.additionalFiles[].source")),
    (Kind.DIRECTORY, Pattern("os.additionalDirs[].source")),
    (Kind.FILE, Pattern("os.users[].sshPublicKeyPaths[]")),
    (Kind.FILE, _PASSWORD),
    (Kind.LIST, Pattern("os.packages.removeLists[]")),
    (Kind.LIST, Pattern("os.packages.installLists[]")),
    (Kind.LIST, Pattern("os.packages.updateLists[]")),
    (Kind.FILE, Pattern("scripts.postCustomization[].path")),
    (Kind.FILE, Pattern("scripts.finalizeCustomization[].path")),
    (Kind.OUTPUT_FILE, Pattern("output.image.path")),
    (Kind.OUTPUT_DIRECTORY, Pattern("output.artifacts.path")),
    (Kind.OUTPUT_DIRECTORY, Pattern("output.selinuxPolicyPath")),
)


@dataclass(frozen=True)
class HostPath:
    """A path as a configuration has it."""

    key: KeyPath
    path: str
    kind: Kind

    @property
    def copied(self) -> bool:
        """Whether it is copied into the image with its modes and times, and not only read."""
        return self.key[:2] in (("os", "additionalFiles"), ("os", "additionalDirs"))


def host_paths(document: Document, broken: Collection[KeyPath] = ()) -> Iterator[HostPath]:
    """Every path on the build host that a configuration names, kind by kind; without the `broken` ones."""
    for kind, pattern in _PATHS:
        for key, path in pattern.texts(document):
            if key not in broken and (pattern is not _PASSWORD or _is_in_file(document, key)):
                yield HostPath(key, path, kind)


def _is_in_file(document: Document, key: KeyPath) -> bool:
    """Whether the value of a password, at a key path, is the path of a file that holds it."""
    kind, depth = document.find((*key[:-1], "type"))
    return depth == len(key) and isinstance(kind, Scalar) and (kind.text or "").endswith("-file")
