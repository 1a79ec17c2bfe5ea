"""Which keys hold paths on the build host, and what for (image-config spec, sections 6.1 and 7). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from twinroot.config.image.config import ImageConfig
from twinroot.config.problems import KeyPath
from twinroot.config.uses import Pattern


class Kind(Enum):
    """What a path stands for."""

    FILE = "file"
    DIRECTORY = "directory"
    LIST = "package list"
    OUTPUT_FILE = "output file"
    OUTPUT_DIRECTORY = "output directory"


_PATHS: tuple[tuple[Kind, Pattern], ...] = (
    (Kind.FILE, Pattern("input.image.path")),
    (Kind.FILE, Pattern("iso.additionalFiles[].source")),
    (Kind.FILE, Pattern("pxe.additionalFiles[].source")),
    (Kind.FILE, Pattern("os.additionalFiles[].source")),
    (Kind.DIRECTORY, Pattern("os.additionalDirs[].source")),
    (Kind.FILE, Pattern("os.users[].sshPublicKeyPaths[]")),
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


def host_paths(config: ImageConfig) -> Iterator[HostPath]:
    """Every path on the build host that a configuration names, in the order of the sections."""
    for kind, pattern in _PATHS:
        for key, value in pattern.uses(config):
            yield HostPath(key, str(value), kind)
    for index, user in enumerate(config.os.users if config.os else ()):
        if user.password and user.password.value and user.password.type.endswith("-file"):
            yield HostPath(("os", "users", index, "password", "value"), user.password.value, Kind.FILE)
