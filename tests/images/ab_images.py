"""Images for A/B machines out of both base images, and what their disks hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.images import AB_CONFIG, BASE_DEB, BASE_RPM, agent_rpms, built, customize
from twinroot.base.image import probe, read_table
from twinroot.formats.gpt import Table
from twinroot.tools import blkid, fat

# Partitions as in the example, with room for Debian's boot loaders, which are signed and large.
_DEBIAN = """
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      maxSize: 6G
      partitions:
        - {id: esp, type: esp, size: 32M}
        - {id: root-a, size: 2G}
        - {id: root-b, size: 2G}
        - {id: trident, size: 100M, type: linux-generic, label: trident}
  filesystems:
    - {deviceId: esp, type: fat32, mountPoint: {path: /boot/efi, options: umask=0077}}
    - {deviceId: root-a, type: ext4, mountPoint: /}
    - {deviceId: trident, type: ext4, mountPoint: /var/lib/trident}
os:
  bootloader: {resetType: hard-reset}
  hostname: testimage
  kernelCommandLine: {extraCommandLine: [console=ttyS0]}
  packages: {install: [python3]}
"""
BASES = {"rpm": BASE_RPM, "deb": BASE_DEB}


@dataclass(frozen=True)
class AbImage:
    """A raw disk image with the partitions ESP, root-a, root-b and trident, numbered from 1."""

    path: Path
    table: Table

    def uuid(self, number: int) -> str:
        """The UUID of a partition."""
        return str(self.table.partition(number).uuid)

    def file_system_uuid(self, number: int) -> str:
        """The UUID of the filesystem in a partition."""
        partition = self.table.partition(number)
        found = blkid.probe(self.path, self.table.offset(partition), self.table.size(partition)).uuid
        assert found
        return found

    def unpack_esp(self, target: Path) -> Path:
        """The files of its ESP, in a directory."""
        fat.extract(self.path, self.table.offset(self.table.partition(1)), target)
        return target


def ab_image(kind: str, directory: Path) -> AbImage:
    """Build an A/B image, in a new directory, from the base image of "rpm" or "deb"."""
    directory.mkdir()
    config = AB_CONFIG
    if kind == "deb":
        config = directory / "config.yaml"
        config.write_text(_DEBIAN)
    path = directory / "image.raw"
    agent = ("--rpm-source", agent_rpms()) if kind == "rpm" else ()
    done = customize(config, built(BASES[kind]), path, directory / "build", *agent)
    assert done.code == 0, done.stderr
    return AbImage(path, read_table(path, probe(path)))
