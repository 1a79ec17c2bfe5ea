"""Verity devices, and how much data fits beside its hashes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.config.marked import NO_ROOT, ConfigOf

from twinroot.config.image.verity import IdentifiedPartition, Verity, signature_path, verity_name
from twinroot.config.image.verity_size import BLOCK, hash_blocks, inline_data_size
from twinroot.config.scalars import ScalarError
from twinroot.errors import Problem
from twinroot.units import MIB

ProblemsOf = Callable[[str], list[Problem]]
Expected = list[tuple[int, str, str]]
"""Line, key without `storage.`, and beginning of the message of each problem."""

BY_ID = """\
os: {bootloader: {resetType: hard-reset}}
storage:
  bootType: efi
  disks:
  - partitionTableType: gpt
    partitions:
    - {id: esp, type: esp, size: 8M}
    - {id: root, type: root, size: 1G, label: root}
    - {id: hash, type: root-verity, size: 64M}
    - {id: spare, size: 100M}
  verity:
  - id: rootverity
    name: root
    dataDeviceId: root
    hashDeviceId: hash
  filesystems:
  - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
  - deviceId: rootverity
    type: ext4
    mountPoint: {path: /, options: ro}
"""
BY_LABEL = """\
storage:
  verity:
  - id: usrverity
    name: usr
    dataDevice: {idType: part-label, id: usr}
    hashDevice: {idType: part-label, id: usr-hash}
"""
INLINE = BY_ID.replace("hashDeviceId: hash", "hashDeviceId: root")
ROOT = "    mountPoint: {path: /, options: ro}\n"
SAME = """\
  - {id: rootverity, name: root, dataDeviceId: spare, hashDeviceId: spare}
"""
OTHER = """\
  - {id: other, name: usr, dataDeviceId: spare, hashDeviceId: root}
"""


def test_everything_of_a_device_on_new_partitions(config_of: ConfigOf) -> None:
    text = "previewFeatures: [output-artifacts]\n" + BY_ID.replace(
        "hashDeviceId: hash\n",
        """\
hashDeviceId: hash
    dataDeviceMountIdType: uuid
    hashDeviceMountIdType: part-label
    corruptionOption: panic
    hashSignaturePath: /boot/root.hash.sig
""",
    )
    (device,) = config_of(text).storage.verity
    assert device == Verity(
        id="rootverity",
        name="root",
        data_device_id="root",
        hash_device_id="hash",
        data_device_mount_id_type="uuid",
        hash_device_mount_id_type="part-label",
        corruption_option="panic",
        hash_signature_path="/boot/root.hash.sig",
    )
    assert (device.by_id, device.by_label, device.is_inline) == (True, False, False)


def test_everything_of_a_device_of_the_base(config_of: ConfigOf) -> None:
    (device,) = config_of(BY_LABEL).storage.verity
    assert device.data_device == IdentifiedPartition(id_type="part-label", id="usr")
    assert device.hash_device == IdentifiedPartition(id_type="part-label", id="usr-hash")
    assert (device.by_id, device.by_label, device.is_inline) == (False, True, False)


def test_data_and_hashes_in_one_partition(config_of: ConfigOf) -> None:
    assert config_of(INLINE).storage.verity[0].is_inline


V, F1 = "verity[0]", "filesystems[1]"

NEW: list[tuple[str, str, Expected]] = [
    # what is replaced in BY_ID, by what, and the problems
    ("", "", []),
    ("options: ro", "options: 'noatime,ro'", []),
    ("    mountPoint: {path: /, options: ro}", "    mountPoint: {path: //., options: ro}", []),
    ("name: root", "name: usr", [(13, V + ".name", "the verity device mounted at / must have the name root")]),
    ("path: /,", "path: /usr,", [(13, V + ".name", "the verity device mounted at /usr must have the name usr")]),
    ("path: /,", "path: /var,", [(20, F1 + ".mountPoint.path", "a verity device can be mounted at / or /usr, not at")]),
    ("options: ro", "options: ''", [
        (20, F1 + ".mountPoint.options", "a verity device must be mounted with the option ro"),
    ]),
    ("options: ro", "options: 'rot,x=ro'", [
        (20, F1 + ".mountPoint.options", "a verity device must be mounted with the option ro"),
    ]),
    ("{path: /, options: ro}", "/", [(20, F1 + ".mountPoint", "a verity device must be mounted with the option ro")]),
    ("options: ro", "options: ro, idType: part-uuid", [
        (20, F1 + ".mountPoint.idType", "this key is not allowed for a verity device"),
    ]),
    ("options: ro", "options: ro, idType: ''", []),
    (ROOT, "", [(18, F1, "the file system of the verity device 'rootverity' has no mount point")]),
    ("deviceId: rootverity", "deviceId: spare", [
        (12, V, "the verity device 'rootverity' needs a file system"),
    ]),
    ("deviceId: rootverity", "deviceId: root", [
        (12, V, "the verity device 'rootverity' needs a file system"),
        (18, F1 + ".deviceId", "the partition 'root' is already used by verity[0]"),
    ]),
    ("deviceId: rootverity", "deviceId: hash", [
        (12, V, "the verity device 'rootverity' needs a file system"),
        (18, F1 + ".deviceId", "the partition 'hash' is already used by verity[0]"),
    ]),
    (ROOT, ROOT + "  - {deviceId: rootverity}\n", [
        (21, "filesystems[2].deviceId", "the verity device 'rootverity' is already used by filesystems[1]"),
    ]),
    ("dataDeviceId: root", "dataDeviceId: rot", [
        (14, V + ".dataDeviceId", "there is no partition with the id 'rot'"),
    ]),
    ("hashDeviceId: hash", "hashDeviceId: hsah", [
        (15, V + ".hashDeviceId", "there is no partition with the id 'hsah'"),
    ]),
    ("dataDeviceId: root", "dataDeviceId: rootverity", [
        (14, V + ".dataDeviceId", "'rootverity' is a verity device; a partition is wanted here"),
    ]),
    ("    dataDeviceId: root\n", "", [(12, V + ".dataDeviceId", "this key is required and missing")]),
    ("    hashDeviceId: hash\n", "", [(12, V + ".hashDeviceId", "this key is required and missing")]),
    ("hashDeviceId: hash", "hashDeviceId: ''", [(15, V + ".hashDeviceId", "this key is required and missing")]),
    ("    dataDeviceId: root\n    hashDeviceId: hash\n", "", [
        (12, V + ".dataDeviceId", "this key is required and missing"),
        (12, V + ".hashDeviceId", "this key is required and missing"),
    ]),
    ("hashDeviceId: hash", "hashDevice: {idType: part-label, id: hash}", [
        (12, V, "partitions are named by id and by label"),
    ]),
    ("dataDeviceId: root", "dataDevice: {idType: part-label, id: root}", [
        (12, V, "partitions are named by id and by label"),
    ]),
    ("id: rootverity\n", "id: spare\n", [
        (12, V, "the verity device 'spare' needs a file system"),
        (12, V + ".id", "the id 'spare' is already used by another partition"),
        (18, F1 + ".deviceId", "there is no partition with the id 'rootverity'"),
    ]),
    ("  filesystems", OTHER + "  filesystems", [
        (16, "verity[1]", "the verity device 'other' needs a file system"),
        (16, "verity[1].hashDeviceId", "the partition 'root' is already used by verity[0]"),
    ]),
    ("  filesystems", SAME + "  filesystems", [
        (16, "verity[1].id", "the id 'rootverity' is already used by another verity device"),
    ]),
]  # fmt: skip


def assert_problems(found: list[Problem], expected: Expected) -> None:
    found = [problem for problem in found if problem.message != NO_ROOT]
    assert [(problem.line, problem.key) for problem in found] == [(line, f"storage.{key}") for line, key, _ in expected]
    for problem, (_, _, message) in zip(found, expected, strict=True):
        assert problem.message.startswith(message)


@pytest.mark.parametrize(("old", "new", "expected"), NEW)
def test_new_partitions(problems_of: ProblemsOf, old: str, new: str, expected: Expected) -> None:
    assert_problems(problems_of(BY_ID.replace(old, new, 1)), expected)


BTRFS = """\
    btrfs:
      subvolumes:
      - path: "@"
        mountPoint: {path: /, options: ro}
      - path: other
"""
SUBVOLUMES: list[tuple[str, str, Expected]] = [
    # what is replaced in a file system with subvolumes, by what, and the problems
    ("", "", []),
    ("name: root", "name: usr", [(14, V + ".name", "the verity device mounted at / must have the name root")]),
    ("path: /,", "path: /srv,", [
        (24, F1 + ".btrfs.subvolumes[0].mountPoint.path", "a verity device can be mounted at / or /usr, not at '/srv'"),
    ]),
    (", options: ro", "", [
        (24, F1 + ".btrfs.subvolumes[0].mountPoint.options", "a verity device must be mounted with the option ro"),
    ]),
    ("options: ro", "options: ro, idType: uuid", [
        (24, F1 + ".btrfs.subvolumes[0].mountPoint.idType", "this key is not allowed for a verity device"),
    ]),
    ("        mountPoint: {path: /, options: ro}\n", "", [
        (19, F1, "the file system of the verity device 'rootverity' has no mount point"),
    ]),
    ("      - path: other\n", "      - {path: other, mountPoint: {path: /usr, options: ro}}\n", [
        (14, V + ".name", "the verity device mounted at /usr must have the name usr"),
        (19, F1, "the file system of the verity device 'rootverity' has 2 mount points"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), SUBVOLUMES)
def test_subvolumes(problems_of: ProblemsOf, old: str, new: str, expected: Expected) -> None:
    text = "previewFeatures: [btrfs]\n" + BY_ID.replace(ROOT, BTRFS).replace("type: ext4", "type: btrfs")
    assert_problems(problems_of(text.replace(old, new, 1)), expected)


BASE: list[tuple[str, str, Expected]] = [
    # what is replaced in BY_LABEL, by what, and the problems
    ("", "", []),
    ("storage:", "storage:\n  disks: []", []),
    ("idType: part-label, id: usr}", "idType: part-uuid, id: usr}", [
        (5, V + ".dataDevice.idType", "'part-uuid' is not allowed here: use part-label"),
    ]),
    ("idType: part-label, id: usr}", "idType: '', id: usr}", [(5, V + ".dataDevice.idType", "'' is not allowed here")]),
    ("idType: part-label, id: usr}", "id: usr}", [(5, V + ".dataDevice.idType", "this key is required and missing")]),
    (", id: usr}", "}", [(5, V + ".dataDevice.id", "this key is required and missing")]),
    (", id: usr}", ", id: ''}", [(5, V + ".dataDevice.id", "the label is empty")]),
    (", id: usr}", ", id: 💾}", [(5, V + ".dataDevice.id", "the label '💾' must be printable ASCII text")]),
    (", id: usr-hash}", f", id: {'x' * 36}}}", [(6, V + ".hashDevice.id", "the label")]),
    ("{idType: part-label, id: usr}", "usr", [(5, V + ".dataDevice", "expected a mapping")]),
    ("    dataDevice: {idType: part-label, id: usr}\n", "", [
        (3, V + ".dataDevice", "this key is required and missing"),
    ]),
    ("    hashDevice: {idType: part-label, id: usr-hash}\n", "", [
        (3, V + ".hashDevice", "this key is required and missing"),
    ]),
    ("dataDevice: {idType: part-label, id: usr}", "dataDeviceId: usr", [
        (3, V, "partitions are named by id and by label"),
    ]),
    ("  - id", "  - {id: r, name: root, dataDeviceId: a, hashDeviceId: b}\n  - id", [
        (3, "verity", "some verity devices name partitions by id, others by label"),
        (3, "verity[0].dataDeviceId", "this key is only allowed together with 'storage.disks'"),
    ]),
    ("id: usrverity", "id: ''", [(3, V + ".id", "the value may not be empty")]),
    ("id: usrverity\n    ", "", [(3, V + ".id", "this key is required and missing")]),
    ("name: usr", "name: $usr", [(4, V + ".name", "'$usr' is not a name of a verity device")]),
    ("name: usr", "corruptionOption: reboot\n    name: usr", [
        (4, V + ".corruptionOption", "'reboot' is not allowed here: use io-error, ignore, panic or restart"),
    ]),
    ("name: usr", "dataDeviceMountIdType: label\n    name: usr", [
        (4, V + ".dataDeviceMountIdType", "'label' is not allowed here"),
    ]),
    ("name: usr", "hashDeviceMountIdType: partuuid\n    name: usr", [
        (4, V + ".hashDeviceMountIdType", "'partuuid' is not allowed here"),
    ]),
    ("name: usr", "hashSignaturePath: boot/x\n    name: usr", [
        (4, V + ".hashSignaturePath", "the path 'boot/x' must be absolute"),
    ]),
    ("name: usr", "hashSignaturePath: /boot/x\n    name: usr", [
        (4, V + ".hashSignaturePath", "this needs the preview feature 'output-artifacts'"),
    ]),
    ("name: usr", "hashSignaturePath: ''\n    name: usr", []),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), BASE)
def test_partitions_of_the_base(problems_of: ProblemsOf, old: str, new: str, expected: Expected) -> None:
    assert_problems(problems_of(BY_LABEL.replace(old, new, 1)), expected)


def test_labels_together_with_disks(problems_of: ProblemsOf) -> None:
    device = "dataDevice: {idType: part-label, id: a}\n    hashDevice: {idType: part-label, id: b}\n"
    text = BY_ID.replace("dataDeviceId: root\n    hashDeviceId: hash\n", device)
    assert_problems(
        problems_of(text), [(14, V + ".dataDevice", "this key is not allowed together with 'storage.disks'")]
    )


@pytest.mark.parametrize(("name", "right"), [("root", True), ("usr", True), ("", False), ("Root", False),
                                             ("other", False),
                                             ("$root", False), ("root\n", False)])  # fmt: skip
def test_names(name: str, right: bool) -> None:
    if right:
        assert verity_name(name) == name
    else:
        with pytest.raises(ScalarError, match="is not a name of a verity device"):
            verity_name(name)


@pytest.mark.parametrize("path", ["/boot/a", "/boot/a/b.sig"])
def test_places_of_signatures(path: str) -> None:
    assert signature_path(path) == path


@pytest.mark.parametrize(
    "path", ["a", "/", "/boot", "/boot/", "/bootx/a", "/etc/a", "/boot/a/", "/boot//a", "/boot/./a", "/boot/../a",
             "//boot/a", "/boot/a b"]
)  # fmt: skip
def test_wrong_places_of_signatures(path: str) -> None:
    with pytest.raises(ScalarError):
        signature_path(path)


# What `veritysetup format` of cryptsetup 2.6.1 writes for so many blocks of data, with its superblock.
HASH_BLOCKS = [
    (1, 1),
    (2, 2),
    (127, 2),
    (128, 2),
    (129, 4),
    (256, 4),
    (257, 5),
    (2560, 22),
    (16383, 130),
    (16384, 130),
    (16385, 133),
    (16512, 133),
    (25088, 200),
    (32769, 262),
    (524288, 4130),
]


@pytest.mark.parametrize(("data", "hashes"), HASH_BLOCKS)
def test_size_of_the_hashes(data: int, hashes: int) -> None:
    assert hash_blocks(data) == hashes


@pytest.mark.parametrize(
    ("partition", "data"),
    [
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 2),
        (64, 63),
        (100, 99),
        (127, 126),
        (128, 126),
        (129, 127),
        (1024, 1015),
        (8192, 8127),
    ],
)
def test_data_that_fits_beside_its_hashes(partition: int, data: int) -> None:
    assert inline_data_size(partition * MIB) == data * MIB


@given(st.integers(0, 2**43))
def test_no_more_data_would_fit(mebibytes: int) -> None:
    size = mebibytes * MIB
    data = inline_data_size(size)
    assert data % MIB == 0
    if data:
        assert data + hash_blocks(data // BLOCK) * BLOCK <= size
    assert data + MIB + hash_blocks((data + MIB) // BLOCK) * BLOCK > size


@pytest.mark.parametrize(("size", "right"), [("1M", False), ("2M", True), ("100M", True)])
def test_room_for_data_and_hashes_in_one_partition(problems_of: ProblemsOf, size: str, right: bool) -> None:
    found = problems_of(INLINE.replace("1G", size))
    assert [problem.key for problem in found] == ([] if right else ["storage.verity[0].dataDeviceId"])
    assert all(problem.message == "the partition 'root' (1 MiB) is too small for data and hashes" for problem in found)
