"""Answers for grub-mkconfig about disks that do not exist yet.

The image's own grub-mkconfig writes its configuration, and asks grub-probe what device a path lies on. During a build
that is an overlay of directories. So while it runs, grub-probe in the tree is covered by a script that answers from the
planned disk. The device names are made up; grub-mkconfig only compares them and looks for `/dev/disk/by-*` links, which
the sandbox shows.
"""

from __future__ import annotations

import shlex

from twinroot.plan.disk import PlacedMount, PlannedDisk, PlannedPartition

_SCRIPT = """#!/bin/sh
# grub-probe for a disk that is being built: see twinroot.boot.grub_probe.
target= subject=
while [ $# -gt 0 ]; do
  case "$1" in
    --target=*) target=${{1#--target=}} ;;
    -t|--target) target=$2; shift ;;
    -*) ;;
    *) subject=$1 ;;
  esac
  shift
done
case "$subject" in
  /dev/twinroot*) ;;
  /dev/*) subject= ;;
esac
case "$subject" in
{cases}
  *) echo "grub-probe: nothing is known of $subject" >&2; exit 1 ;;
esac
case "$target" in
  device|"") echo "$device" ;;
  fs_uuid) echo "$uuid" ;;
  partuuid) echo "$partuuid" ;;
  fs) echo "$fs" ;;
  partmap) echo gpt ;;
  drive) echo "(hd0,gpt$number)" ;;
  compatibility_hint) echo "hd0,gpt$number" ;;
  disk) echo /dev/twinroot ;;
  gpt_parttype) echo "$type" ;;
  hints_string) echo "--hint-bios=hd0,gpt$number --hint-efi=hd0,gpt$number --hint-baremetal=ahci0,gpt$number" ;;
  fs_label|abstraction|cryptodisk_uuid|baremetal_hints|bios_hints|efi_hints|ieee1275_hints|arc_hints) ;;
  *) exit 1 ;;
esac
"""

# grub's names of filesystems, by ours.
_GRUB_NAMES = {"vfat": "fat", "xfs": "xfs", "btrfs": "btrfs"}
_RELATIVE = """#!/bin/sh
# grub-mkrelpath for a disk that is being built: see twinroot.boot.grub_probe.
subject=
for word; do
  case "$word" in
    -*) ;;
    *) subject=$word ;;
  esac
done
subject=$(readlink -m -- "$subject") || exit 1
case "$subject" in
{cases}
  *) exit 1 ;;
esac
rest=${{subject#"$mount"}}
rest=${{rest#/}}
echo "${{top}}${{rest:+/$rest}}" | sed 's,^$,/,'
"""


def device(partition: PlannedPartition) -> str:
    """The device name that stands for a partition during the build."""
    return f"/dev/twinroot{partition.entry.number}"


def disk_links(disk: PlannedDisk) -> dict[str, str]:
    """The `/dev/disk` links of the planned disk, with the device each stands for."""
    links = {}
    for partition in disk.mounted:
        assert partition.filesystem is not None
        links[f"by-uuid/{partition.filesystem.uuid}"] = device(partition)
        links[f"by-partuuid/{partition.entry.uuid}"] = device(partition)
    return links


def script(disk: PlannedDisk) -> str:
    """The stand-in for grub-probe: knows every mounted partition by its device name and by the paths on it."""
    deepest_first = reversed(disk.mounts)
    return _SCRIPT.format(cases="\n".join(_case(placed) for placed in deepest_first))


def relative_path_script(disk: PlannedDisk) -> str:
    """The stand-in for grub-mkrelpath: what a path is called inside its filesystem, subvolumes among it."""
    cases = []
    for placed in reversed(disk.mounts):
        mount, top = placed.mount.path.rstrip("/"), placed.inner(placed.mount.path)
        pattern = f"{shlex.quote(mount or '/')}|{shlex.quote(mount)}/*"
        cases.append(f"  {pattern}) top={shlex.quote(top.rstrip('/'))} mount={shlex.quote(mount)} ;;")
    return _RELATIVE.format(cases="\n".join(cases))


def _case(placed: PlacedMount) -> str:
    partition, path = placed.partition, placed.mount.path
    assert partition.filesystem is not None
    below = f"{shlex.quote(path.rstrip('/'))}/*"
    patterns = f"{device(partition)}|{shlex.quote(path)}|{below}"
    kind = _GRUB_NAMES.get(partition.filesystem.type, "ext2")
    values = {
        "device": device(partition),
        "uuid": partition.filesystem.uuid,
        "partuuid": str(partition.entry.uuid),
        "fs": kind,
        "number": str(partition.entry.number),
        "type": str(partition.entry.type_uuid),
    }
    return f"  {patterns}) " + " ".join(f"{name}={shlex.quote(value)}" for name, value in values.items()) + " ;;"
