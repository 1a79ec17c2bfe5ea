"""Rules between the fields of `storage`, and the arithmetic of the layout."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.config.marked import NO_ROOT

from twinroot.config.image.layout import Layout, resolve_layout, type_uuid
from twinroot.config.image.storage import Disk, Partition
from twinroot.config.problems import Finding
from twinroot.errors import Problem
from twinroot.units import MIB, partition_type

ProblemsOf = Callable[[str], list[Problem]]


def disk(*partitions: Partition, max_size: int | None = None) -> Disk:
    """A disk; sizes are in MiB."""
    return Disk(partition_table_type="gpt", max_size=max_size and max_size * MIB, partitions=partitions)


def part(
    start: int | None = None, end: int | None = None, *, size: int | None = None, grow: bool = False, type: str = ""
) -> Partition:
    """A partition; places are in MiB."""
    return Partition(
        start=None if start is None else start * MIB,
        end=None if end is None else end * MIB,
        size="grow" if grow else None if size is None else size * MIB,
        type=type,
    )


def resolve(described: Disk) -> tuple[Layout | None, list[Finding]]:
    return resolve_layout(described, ("disk",))


LAYOUTS = [
    # described, size of the disk, start and end of each partition
    (disk(max_size=2), 2, []),
    (disk(part(1), max_size=3), 3, [(1, 2)]),
    (disk(part(1, 2), max_size=3), 3, [(1, 2)]),
    (disk(part(1, size=1), max_size=3), 3, [(1, 2)]),
    (disk(part(), max_size=3), 3, [(1, 2)]),
    (disk(part(size=2), part(grow=True), max_size=10), 10, [(1, 3), (3, 9)]),
    (disk(part(size=2), part(size=3)), 7, [(1, 3), (3, 6)]),
    (disk(part(size=2), part(8, size=3)), 12, [(1, 3), (8, 11)]),
    (disk(part(5, 6), part(1, 2), part(size=3)), 7, [(5, 6), (1, 2), (2, 5)]),
    (disk(part(size=1, type="bios-grub"), part(size=1)), 4, [(1, 2), (2, 3)]),
    (disk(*[part(size=1)] * 128), 130, [(n, n + 1) for n in range(1, 129)]),
]


@pytest.mark.parametrize(("described", "size", "places"), LAYOUTS)
def test_layout(described: Disk, size: int, places: list[tuple[int, int]]) -> None:
    layout, findings = resolve(described)
    assert findings == []
    assert layout is not None
    assert layout.disk_size == size * MIB
    assert [(p.start // MIB, p.end // MIB) for p in layout.partitions] == places
    assert [p.number for p in layout.partitions] == list(range(1, len(places) + 1))


P0, P1, P2 = (("disk", "partitions", n) for n in range(3))

BAD_LAYOUTS = [
    # described, key path and message of each finding
    (disk(), [(("disk", "maxSize"), "this key is required when the disk has no partitions")]),
    (disk(max_size=1), [(("disk", "maxSize"), "the partitions need 2 MiB, but maxSize is only 1 MiB")]),
    (disk(part(0, 2)), [((*P0, "start"), "the first 1 MiB of the disk is reserved")]),
    (disk(part(2, 2)), [((*P0, "end"), "the end (2 MiB) must lie after the start (2 MiB)")]),
    (disk(part(size=3), part(end=4)), [((*P1, "end"), "the end (4 MiB) must lie after the start (4 MiB)")]),
    (disk(part(end=0)), [((*P0, "end"), "the end (0 bytes) must lie")]),
    (disk(part(1, 3, size=2)), [((*P0, "size"), "'size' and 'end' may not be given together")]),
    (disk(part(1, 3, grow=True), max_size=9), [((*P0, "size"), "'size' and 'end' may not be given together")]),
    (disk(part(), part(size=1), max_size=9), [(P0, "only the last partition may fill the disk")]),
    (disk(part(1), part(2), max_size=9), [(P0, "only the last partition may fill the disk")]),
    (disk(part(grow=True), part(2), max_size=9), [((*P0, "size"), "only the last partition may fill the disk")]),
    (disk(part(grow=True)), [((*P0, "size"), "a partition can only fill a disk that has a maxSize")]),
    (disk(part(2)), [(P0, "a partition can only fill a disk that has a maxSize")]),
    (disk(part(1, 3), part(2, 4)), [(P1, "this partition (2 MiB to 4 MiB) overlaps partition 1 (1 MiB to 3 MiB)")]),
    (disk(part(2, 4), part(1, 3)), [(P1, "this partition (1 MiB to 3 MiB) overlaps partition 1 (2 MiB to 4 MiB)")]),
    (disk(part(1, 3), part(2), max_size=9), [(P1, "this partition (2 MiB to the end of the disk) overlaps")]),
    (disk(part(5, 6), part(2), max_size=9), [(P1, "this partition (2 MiB to the end of the disk) overlaps")]),
    (disk(part(1, 9), part(2, 3), part(4, 5)), [
        (P1, "this partition"), (P2, "this partition (4 MiB to 5 MiB) overlaps"),
    ]),
    (disk(part(1, 4), max_size=4), [(("disk", "maxSize"), "the partitions need 5 MiB, but maxSize is only 4 MiB")]),
    (disk(part(1, 3), part(3), max_size=3), [(("disk", "maxSize"), "the partitions need 5 MiB, but maxSize is")]),
    (disk(part(size=1), part(size=1, type="bios-grub")), [(P1, "a bios-grub partition must start at 1 MiB")]),
    (disk(part(2, 3, type="bios-grub")), [((*P0, "start"), "a bios-grub partition must start at 1 MiB")]),
    (disk(*[part(size=1)] * 129), [(("disk", "partitions"), "a GPT holds at most 128 partitions")]),
    (disk(part(size=2**43 - 2), part(size=1)), [(("disk", "partitions"), "the partitions reach beyond 8 EiB")]),
    (disk(part(0, 2), part(9, 8)), [((*P0, "start"), "the first"), ((*P1, "end"), "the end (8 MiB) must lie after")]),
]  # fmt: skip


@pytest.mark.parametrize(("described", "expected"), BAD_LAYOUTS)
def test_bad_layout(described: Disk, expected: list[tuple[tuple[str | int, ...], str]]) -> None:
    layout, findings = resolve(described)
    assert layout is None
    assert [finding.path for finding in findings] == [path for path, _ in expected]
    for finding, (_, message) in zip(findings, expected, strict=True):
        assert finding.message.startswith(message)


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_types_depend_on_the_architecture(architecture: str) -> None:
    layout, _ = resolve_layout(disk(part(size=1, type="root")), (), architecture)
    assert layout is not None
    assert layout.partitions[0].type_uuid == partition_type("root", architecture)


def test_a_type_may_be_a_uuid() -> None:
    assert str(type_uuid("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "x86_64")) == "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"


HEAD = """\
storage:
  bootType: efi
  disks:
  - partitionTableType: gpt
    partitions:
    - {id: esp, type: esp, size: 8M}
    - {id: root, size: 1G, label: root}
"""
FILESYSTEMS = """\
  filesystems:
  - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
  - {deviceId: root, type: ext4, mountPoint: /}
"""
OS = "os: {bootloader: {resetType: hard-reset}}\n"
WHOLE = HEAD + FILESYSTEMS + OS

F0, F1 = ("storage.filesystems[0]", "storage.filesystems[1]")

RULES = [
    # what is replaced in WHOLE, by what, and line, key and message of the problems
    ("", "", []),
    ("fat32", "vfat", []),
    ("type: ext4, mountPoint: /}", "mountPoint: }", [(9, "storage.filesystems", NO_ROOT)]),
    ("mountPoint: /}", "mountPoint: {path: /, idType: part-label}}", []),
    (OS, "", [(4, "os.bootloader.resetType", "this key is required together with 'storage.disks'")]),
    (OS, "os: {}\n", [(11, "os.bootloader.resetType", "this key is required")]),
    ("  bootType: efi\n", "", [(3, "storage.bootType", "this key is required together with 'disks'")]),
    ("- {id: esp", "- &p {id: esp2}\n    - {id: esp", [
        (6, "storage.disks[0].partitions[0]", "only the last partition may"),
    ]),
    (", type: esp", "", [(6, "storage.disks[0].partitions", "bootType efi needs a partition of type esp")]),
    ("id: root,", "id: esp,", [
        (7, "storage.disks[0].partitions[1].id", "the id 'esp' is already used by another partition"),
        (10, F1 + ".deviceId", "there is no partition with the id 'root'"),
    ]),
    ("- {id: root", "- {size: 1M}\n    - {size: 1M}\n    - {id: root", [
        (8, "storage.disks[0].partitions[2].id", "every partition but one needs an id"),
    ]),
    ("deviceId: root", "deviceId: rot", [(10, F1 + ".deviceId", "there is no partition with the id 'rot'")]),
    ("deviceId: root", "deviceId: esp", [
        (10, F1 + ".deviceId", "the partition 'esp' is already used by filesystems[0]"),
    ]),
    ("type: ext4, ", "", [(10, F1 + ".mountPoint", "a file system with a mount point needs a 'type'")]),
    ("mountPoint: /}", "mountPoint: /boot//efi/}", [
        (9, "storage.filesystems", NO_ROOT),
        (10, F1 + ".mountPoint", "the mount point '/boot/efi' is already used by filesystems[0]"),
    ]),
    ("fat32", "ext4", [(9, F0 + ".type", "the file system of the esp partition must be FAT")]),
    ("/boot/efi", "{path: /efi}", [(9, F0 + ".mountPoint.path", "the esp partition must be mounted at /boot/efi")]),
    (", mountPoint: /boot/efi", "", [(9, F0 + ".mountPoint", "the esp partition must be mounted at /boot/efi")]),
    ("  - {deviceId: esp, type: fat32, mountPoint: /boot/efi}\n", "", [
        (6, "storage.disks[0].partitions[0]", "the esp partition needs a file system"),
    ]),
    (", label: root}", ", type: bios-grub}", [
        (7, "storage.disks[0].partitions[1]", "a bios-grub partition must start at 1 MiB, not at 9 MiB"),
        (10, "storage.filesystems[1]", "a bios-grub partition may not have a file system or a mount point"),
    ]),
    ("root, type: ext4, mountPoint: /}", "root, type: ext4, mountPoint: {path: /, idType: part-label}}", []),
    ("mountPoint: /boot/efi}", "mountPoint: {path: /boot/efi, idType: part-label}}", [
        (9, F0 + ".mountPoint.idType", "part-label needs a 'label' for the partition 'esp'"),
    ]),
    ("type: esp, size: 8M}\n", "type: esp, size: 8M, label: root}\n    - {id: x, label: root, size: 1M}\n", []),
    # what is tolerated: unusual spellings of paths, unusual places of typed partitions, UUIDs in capitals
    ("mountPoint: /}", "mountPoint: //.}", []),
    ("  - {deviceId: root, type: ext4, mountPoint: /}\n", "", [(9, "storage.filesystems", NO_ROOT)]),
    ("root, type: ext4, mountPoint: /}", "root, type: ext4, mountPoint: /usr}", [(9, "storage.filesystems", NO_ROOT)]),
    ("root, type: ext4, mountPoint: /}", "root, type: ext4, mountPoint: usr}", [
        (10, F1 + ".mountPoint", "the path 'usr' must be absolute"),
    ]),
    (FILESYSTEMS, "", [
        (4, "storage.filesystems", NO_ROOT),
        (6, "storage.disks[0].partitions[0]", "the esp partition needs a file system"),
    ]),
    (", label: root}", ", type: xbootldr}", []),
    (", label: root}", ", type: home}", []),
    (", label: root}", ", type: 0657FD6D-A4AB-43C4-84E5-0933C84B4F4F}", []),
    # a UUID is never checked as the type of that name
    ("type: esp", "type: C12A7328-F81F-11D2-BA4B-00A0C93EC93B", [
        (6, "storage.disks[0].partitions", "bootType efi needs a partition of type esp"),
    ]),
    ("root, size: 1G, label: root}", "root, size: 1G, type: c12a7328-f81f-11d2-ba4b-00a0c93ec93b}", []),
    (", label: root}", ", type: esp}", [
        (10, F1 + ".type", "the file system of the esp partition must be FAT"),
        (10, F1 + ".mountPoint", "the esp partition must be mounted at /boot/efi"),
    ]),
    ("efi\n  disks", "legacy\n  disks", [
        (6, "storage.disks[0].partitions", "bootType legacy needs a partition of type bios-grub"),
    ]),
    ("  bootType: efi\n", "  bootType: ''\n", [
        (2, "storage.bootType", "this key is required together with 'disks'"),
    ]),
    ("  bootType: efi\n", "  bootType: efi\n  resetPartitionsUuidsType: reset-all\n", [
        (3, "storage.resetPartitionsUuidsType", "this key is not allowed together with 'disks'"),
    ]),
    ("deviceId: root", "deviceId: Root", [(10, F1 + ".deviceId", "there is no partition with the id 'Root'")]),
    ("id: root, ", "", [(10, F1 + ".deviceId", "there is no partition with the id 'root'")]),
    ("mountPoint: /}", "mountPoint: //boot/efi/}", [
        (9, "storage.filesystems", NO_ROOT),
        (10, F1 + ".mountPoint", "the mount point '/boot/efi' is already used by filesystems[0]"),
    ]),
    ("mountPoint: /}", "mountPoint: {options: ro, path: /boot/./efi}}", [
        (9, "storage.filesystems", NO_ROOT),
        (10, F1 + ".mountPoint.path", "the mount point '/boot/efi' is already used by filesystems[0]"),
    ]),
    ("mountPoint: /}", "mountPoint: /}\n  - {deviceId: root, type: ext4, mountPoint: /srv}", [
        (11, "storage.filesystems[2].deviceId", "the partition 'root' is already used by filesystems[1]"),
    ]),
    ("- partitionTableType", "- {partitionTableType: gpt, maxSize: 1G}\n  - partitionTableType", [
        (5, "storage.disks[1]", "only one disk is supported"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), RULES)
def test_rules(problems_of: ProblemsOf, old: str, new: str, expected: list[tuple[int, str, str]]) -> None:
    assert_problems(problems_of(WHOLE.replace(old, new, 1)), expected)


@pytest.mark.parametrize("keys", ["", ", type: '', mountPoint: ", ", type: xfs"])
def test_partitions_that_are_not_mounted(problems_of: ProblemsOf, keys: str) -> None:
    text = WHOLE.replace("- {id: root", "- {id: spare, size: 1M}\n    - {id: root")
    assert problems_of(text) == []
    assert problems_of(text.replace(FILESYSTEMS, f"{FILESYSTEMS}  - {{deviceId: spare{keys}}}\n")) == []


def assert_problems(found: list[Problem], expected: list[tuple[int, str, str]]) -> None:
    """Line, key and beginning of the message of all problems."""
    assert [(problem.line, problem.key) for problem in found] == [row[:2] for row in expected]
    for problem, row in zip(found, expected, strict=True):
        assert problem.message.startswith(row[2])


def test_labels_that_are_not_unique(problems_of: ProblemsOf) -> None:
    text = WHOLE.replace("8M}", "8M, label: root}").replace(
        "mountPoint: /}", "mountPoint: {path: /, idType: part-label}}"
    )
    (problem,) = problems_of(text)
    assert problem.message == "part-label needs a unique label, but 'root' is given twice"


LEGACY = WHOLE.replace("efi\n  disks", "legacy\n  disks").replace("id: esp, type: esp", "id: esp, type: bios-grub")

BIOS_BOOT = [
    # what is replaced in LEGACY, by what, and line, key and message of the problems
    ("  - {deviceId: esp, type: fat32, mountPoint: /boot/efi}\n", "", []),
    ("esp, type: fat32, mountPoint: /boot/efi}", "esp}", []),
    ("", "", [(9, F0, "a bios-grub partition may not have a file system or a mount point")]),
    (", mountPoint: /boot/efi", "", [(9, F0, "a bios-grub partition may not have a file system or a mount point")]),
    ("type: fat32, ", "", [
        (9, F0, "a bios-grub partition may not have a file system or a mount point"),
        (9, F0 + ".mountPoint", "a file system with a mount point needs a 'type'"),
    ]),
    ("esp, type: bios-grub", "esp, type: bios-grub, start: 2M", [
        (6, "storage.disks[0].partitions[0].start", "a bios-grub partition must start at 1 MiB, not at 2 MiB"),
        (9, F0, "a bios-grub partition may not have a file system or a mount point"),
    ]),
    # legacy needs no ESP, and may have one
    ("esp, type: fat32, mountPoint: /boot/efi}", "new, type: fat32, mountPoint: /boot/efi}\n  - {deviceId: esp}", [
        (9, F0 + ".deviceId", "there is no partition with the id 'new'"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), BIOS_BOOT)
def test_bios_boot(problems_of: ProblemsOf, old: str, new: str, expected: list[tuple[int, str, str]]) -> None:
    assert_problems(problems_of(LEGACY.replace(old, new, 1)), expected)


HINTS = [
    # what is replaced in WHOLE, by what, and the hint of the only problem
    ("deviceId: root", "deviceId: rot", "did you mean 'root'?"),
    ("deviceId: root", "deviceId: zzz", "the ids are 'esp' or 'root'"),
    ("deviceId: root", "deviceId: zzz}\n  - {deviceId: root", "the ids are 'esp' or 'root'"),
    ("  bootType: efi\n", "", "add bootType: efi"),
    ("fat32", "ext4", "use type: fat32"),
    (OS, "", "add resetType: hard-reset below os.bootloader"),
]


@pytest.mark.parametrize(("old", "new", "hint"), HINTS)
def test_hints(problems_of: ProblemsOf, old: str, new: str, hint: str) -> None:
    assert [problem.hint for problem in problems_of(WHOLE.replace(old, new, 1))] == [hint]


def test_a_hint_does_not_list_very_many_ids(problems_of: ProblemsOf) -> None:
    many = "".join(f"    - {{id: x{number}, size: 1M}}\n" for number in range(20))
    text = WHOLE.replace("partitions:\n", "partitions:\n" + many)
    assert [problem.hint for problem in problems_of(text.replace("deviceId: root", "deviceId: zzz"))] == [None]


RESET = [
    ("reset-all}\n" + OS, []),
    ("reset-all}", [(1, "os.bootloader.resetType", "this key is required together with 'storage.reset")]),
    ("reset-all}\nos: {bootloader: {resetType: ''}}", [
        (2, "os.bootloader.resetType", "this key is required together with 'storage.reset"),
    ]),
    ("''}", []),
    ("reset}", [(1, "storage.resetPartitionsUuidsType", "'reset' is not allowed here: use reset-all")]),
    ("reset-all, reinitializeVerity: all}\n" + OS, [
        (1, "storage.reinitializeVerity", "this needs the preview feature 'reinitialize-verity'"),
    ]),
    ("reset-all, reinitializeVerity: none}\npreviewFeatures: [reinitialize-verity]\n" + OS, []),
    ("'', reinitializeVerity: some}", [(1, "storage.reinitializeVerity", "'some' is not allowed here: use none or")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), RESET)
def test_new_identifiers_for_the_base(problems_of: ProblemsOf, text: str, expected: list[tuple[int, str, str]]) -> None:
    assert_problems(problems_of("storage: {resetPartitionsUuidsType: " + text), expected)


def test_what_needs_disks(problems_of: ProblemsOf) -> None:
    text = "storage:\n  bootType: efi\n" + FILESYSTEMS
    assert [(problem.line, problem.key) for problem in problems_of(text)] == [
        (2, "storage.bootType"),
        (4, "storage.filesystems"),
    ]


def test_file_systems_of_a_wrong_verity_device_are_not_called_unknown(problems_of: ProblemsOf) -> None:
    text = WHOLE.replace("deviceId: root", "deviceId: rootverity").replace(
        "  filesystems", "  verity: [{name: root, id: [], dataDeviceId: a, hashDeviceId: b}]\n  filesystems"
    )
    assert [problem.key for problem in problems_of(text)] == ["storage.verity[0].id"]
