"""Images whose root or /usr dm-verity protects, for tests that service machines.

The builder does not make such images yet. So the hash tree is made here, of an image that it made: its data stays as it
is, the partition for the hashes gets the tree, and the metadata say so.

What starts such a system is in the initrd: systemd opens the device by the arguments of the kernel, and a module of
dracut mounts the overlay over /etc. Azure Linux brings one for `rd.overlayfs`; the stand-in distribution gets one that
reads the same argument.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from tests.images import AB_CONFIG
from tests.vm.servicing import Builder, Image, image_in
from tests.vm.uki_images import ESP_SIZE, unified

from twinroot.events import silent
from twinroot.formats import gpt
from twinroot.formats.cosi.writer import PartitionImage, VerityPlan, write_cosi
from twinroot.formats.source import FileRegion, Source
from twinroot.output.repack import cosi_plan
from twinroot.output.unpack import unpack

_MIB = 1 << 20
_DRACUT = """\
add_dracutmodules+=" systemd-veritysetup etc-overlay "
add_drivers+=" dm-verity overlay "
install_items+=" /etc/systemd/system.conf.d/patience.conf "
"""
# Loaded hosts take minutes to see a disk, and the verity device comes on top.
_PATIENCE = "[Manager]\nDefaultTimeoutStartSec=10min\nDefaultDeviceTimeoutSec=10min\n"
_TMP = """\
[Mount]
What=tmpfs
Where=/tmp
Type=tmpfs
Options=mode=1777
[Install]
WantedBy=local-fs.target
"""
_MODULE = "/usr/lib/dracut/modules.d/20etc-overlay"
_SETUP = """#!/bin/bash
check() { return 0; }
depends() { echo base; }
installkernel() { instmods overlay; }
install() {
    inst_multiple mount mkdir
    inst_hook pre-pivot 10 "$moddir/mount.sh"
}
"""
# rd.overlayfs=LOWER,UPPER,WORK,DEVICE[,MODE]: LOWER as the system calls it, UPPER and WORK as they are on DEVICE.
_MOUNT = """#!/bin/sh
argument=$(getarg rd.overlayfs=)
if [ -n "$argument" ]; then
    IFS=, read -r lower upper work device mode <<OVERLAY
$argument
OVERLAY
    mkdir -p /run/etc-overlay
    mount "$device" /run/etc-overlay &&
        mount -t overlay overlay "$NEWROOT$lower" -o \\
        "${mode:-ro},lowerdir=$NEWROOT$lower,upperdir=/run/etc-overlay$upper,workdir=/run/etc-overlay$work" ||
        die "the overlay at $lower cannot be mounted"
fi
"""
_SALT = "5a" * 32
_MOUNT_POINTS = {"root": "/", "usr": "/usr"}
_PARTITIONS = {
    "root": [("boot", "256M", "/boot"), ("root", "2G", "/"), ("var", "512M", "/var")],
    "usr": [("root", "1G", "/"), ("usr", "2G", "/usr")],
}


def image_configuration(protected: str, esp_size: str) -> str:
    """The image configuration of the example with the file systems of a machine whose `root` or `usr` is protected.

    What the halves of a machine share is named by its partition, as an fstab that cannot change needs it.
    """
    config = yaml.safe_load(AB_CONFIG.read_text())
    own = _PARTITIONS[protected]
    disk = config["storage"]["disks"][0]
    disk["partitions"] = [
        {"id": "esp", "type": "esp", "label": "esp", "size": esp_size},
        *({"id": name, "size": size} for name, size, _ in own),
        {"id": "hashes", "size": "64M"},
        {"id": "trident", "label": "trident", "size": "64M"},
    ]
    efi = {"idType": "part-label", "path": "/boot/efi", "options": "umask=0077"}
    shared = {"idType": "part-label", "path": "/var/lib/trident"}
    options = {name: {"options": "ro"} if name == protected else {} for name, _, _ in own}
    config["storage"]["filesystems"] = [
        {"deviceId": "esp", "type": "fat32", "mountPoint": efi},
        *(
            {"deviceId": name, "type": "ext4", "mountPoint": {"idType": "uuid", "path": path, **options[name]}}
            for name, _, path in own
        ),
        {"deviceId": "trident", "type": "ext4", "mountPoint": shared},
    ]
    system = config.pop("os")
    system["packages"]["install"].append("veritysetup")
    # Its keys are made at the first start, in an /etc that is read-only then.
    system["services"]["enable"].remove("sshd")
    system["services"]["enable"].append("tmp.mount")
    return yaml.safe_dump({**config, "os": system}, sort_keys=False)


def additional_files() -> str:
    """What else an image needs, as YAML to stand below `os.additionalFiles`."""
    files = [
        {"destination": "/etc/dracut.conf.d/verity.conf", "content": _DRACUT},
        {"destination": "/etc/systemd/system.conf.d/patience.conf", "content": _PATIENCE},
        {"destination": "/etc/systemd/system/tmp.mount", "content": _TMP},
        {"destination": f"{_MODULE}/module-setup.sh", "content": _SETUP, "permissions": "755"},
        {"destination": f"{_MODULE}/mount.sh", "content": _MOUNT, "permissions": "755"},
    ]
    return "".join(f"    {line}\n" for line in yaml.safe_dump(files).splitlines())


@dataclass(frozen=True)
class VerityBuilder:
    """Builds images whose `root` or `usr` is protected, in a folder; the second one costs little.

    With `kernel` they start by a unified kernel, else by grub.
    """

    place: Path
    protected: str
    kernel: bool = False

    def image(self, version: str) -> Image:
        """An image with this version."""
        plain = self.place / "plain"
        plain.mkdir(parents=True, exist_ok=True)
        config = plain / "configuration.yaml"
        config.write_text(image_configuration(self.protected, ESP_SIZE if self.kernel else "16M"))
        made = Builder(plain, config).image(version, additional_files())
        target = self.place / ("grub" if self.kernel else "") / f"{version}.cosi"
        target.parent.mkdir(exist_ok=True)
        protect(made.path, target, _MOUNT_POINTS[self.protected], self.place / "scratch")
        protected = image_in(target.parent, version)
        return unified(protected, self.place, version) if self.kernel else protected


def protect(source: Path, target: Path, mount_point: str, scratch: Path, *, root_hash: str | None = None) -> None:
    """Write an image anew, its filesystem at a mount point protected by a tree in the partition before the last.

    Another `root_hash` than that of the tree makes an image that no machine can open.
    """
    scratch.mkdir()
    raw, tree = scratch / "disk.raw", scratch / "tree"
    metadata, table = unpack(source, raw, scratch, silent, grow=False)
    with raw.open("rb") as disk:
        head = disk.read(len(gpt.primary_bytes(table)))
    plan = cosi_plan(metadata, table, raw, head, target.stem, str(source))
    number = next(each.partition for each in plan.filesystems if each.mount_point == mount_point)
    hashes = sorted(each.number for each in plan.partitions)[-2]
    data = next(each.source for each in plan.partitions if each.number == number)
    found = hash_tree(data, tree, scratch / "data")
    images = {each.number: each for each in plan.partitions}
    images[hashes] = PartitionImage(hashes, FileRegion(tree, 0, tree.stat().st_size))
    verity = VerityPlan(hashes, root_hash or found)
    filesystems = (replace(each, verity=verity) if each.partition == number else each for each in plan.filesystems)
    write_cosi(target, replace(plan, partitions=tuple(images.values()), filesystems=tuple(filesystems)))
    shutil.rmtree(scratch)


def hash_tree(data: Source, tree: Path, copy: Path) -> str:
    """Write the hash tree of data to a file; its root hash in hex. `copy` is a file for the data.

    Of the same data it is always the same, so that an image with another root hash opens with the right one.
    """
    with copy.open("wb") as file, data.opened() as reader:
        file.truncate(data.length)
        for start, end in reader.extents():
            for offset in range(start, end, _MIB):
                piece = bytearray(min(_MIB, end - offset))
                reader.read_into(memoryview(piece), offset)
                file.seek(offset)
                file.write(piece)
    done = subprocess.run(
        ["veritysetup", "format", "--data-block-size=4096", "--hash-block-size=4096", f"--salt={_SALT}", copy, tree],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    copy.unlink()
    found = re.search(r"^Root hash:\s+([0-9a-f]+)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    return found[1]
