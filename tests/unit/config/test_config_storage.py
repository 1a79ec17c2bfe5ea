"""Rules between the fields of `storage`, and the arithmetic of the layout."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@st.composite
def right_disks(draw: st.DrawFn) -> Disk:
    """Partitions in any mix of spellings that leave gaps and never overlap."""
    partitions = []
    place = 1
    for _ in range(draw(st.integers(0, 8))):
        gap = draw(st.integers(0, 3))
        size = draw(st.integers(1, 2**20))
        start = place + gap if gap or draw(st.booleans()) else None
        by_end = draw(st.booleans())
        place += gap + size
        partitions.append(part(start, place if by_end else None, size=None if by_end else size))
    max_size = draw(st.none() | st.integers(place + 2, place + 100)) if partitions else place + 2
    if max_size and draw(st.booleans()):
        partitions.append(part(grow=draw(st.booleans())))
    return disk(*partitions, max_size=max_size)


@given(right_disks())
def test_right_layouts_fit_without_overlap(described: Disk) -> None:
    layout, findings = resolve(described)
    assert findings == []
    assert layout is not None
    place = MIB
    for partition, given_ in zip(layout.partitions, described.partitions, strict=True):
        assert place <= partition.start < partition.end
        assert given_.start in (None, partition.start)
        assert given_.end in (None, partition.end)
        assert given_.size in (None, "grow", partition.size)
        place = partition.end
    assert place + MIB <= layout.disk_size <= (described.max_size or layout.disk_size)


places = st.none() | st.integers(0, 12)


@given(
    st.lists(st.builds(part, places, places, size=st.none() | st.integers(1, 12), grow=st.booleans()), max_size=5),
    st.none() | st.integers(1, 40),
)
def test_any_layout_is_either_sound_or_explained(partitions: list[Partition], max_size: int | None) -> None:
    layout, findings = resolve(disk(*partitions, max_size=max_size))
    assert (layout is None) == bool(findings)
    if layout:
        spans = sorted((p.start, p.end) for p in layout.partitions)
        ends = [MIB, *(end for _, end in spans)]
        assert all(end <= start for end, (start, _) in zip(ends, spans, strict=False))
        assert all(start < end for start, end in spans)
        assert ends[-1] + MIB <= layout.disk_size
        assert max_size is None or layout.disk_size == max_size * MIB


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
    ("type: ext4, mountPoint: /}", "mountPoint: }", []),
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
    ("- partitionTableType", "- {partitionTableType: gpt, maxSize: 1G}\n  - partitionTableType", [
        (5, "storage.disks[1]", "only one disk is supported"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), RULES)
def test_rules(problems_of: ProblemsOf, old: str, new: str, expected: list[tuple[int, str, str]]) -> None:
    found = problems_of(WHOLE.replace(old, new, 1))
    assert [(problem.line, problem.key) for problem in found] == [row[:2] for row in expected]
    for problem, row in zip(found, expected, strict=True):
        assert problem.message.startswith(row[2])


def test_labels_that_are_not_unique(problems_of: ProblemsOf) -> None:
    text = WHOLE.replace("8M}", "8M, label: root}").replace(
        "mountPoint: /}", "mountPoint: {path: /, idType: part-label}}"
    )
    (problem,) = problems_of(text)
    assert problem.message == "part-label needs a unique label, but 'root' is given twice"


def test_what_needs_disks(problems_of: ProblemsOf) -> None:
    text = "storage:\n  bootType: efi\n" + FILESYSTEMS
    assert [(problem.line, problem.key) for problem in problems_of(text)] == [
        (2, "storage.bootType"),
        (4, "storage.filesystems"),
    ]


def test_file_systems_of_a_wrong_verity_device_are_not_called_unknown(problems_of: ProblemsOf) -> None:
    text = WHOLE.replace("deviceId: root", "deviceId: rootverity").replace(
        "  filesystems", "  verity: [{name: root, id: []}]\n  filesystems"
    )
    assert [problem.key for problem in problems_of(text)] == ["storage.verity[0].id"]
