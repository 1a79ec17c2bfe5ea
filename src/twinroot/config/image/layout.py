"""Where partitions come to lie on the disk: pure arithmetic (image-config spec, section 4.7). Sizes are in bytes.

The first MiB holds the primary GPT, the last MiB the backup. A partition without `start` follows the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from twinroot.config.image.storage import Disk, Partition
from twinroot.config.problems import Finding, KeyPath
from twinroot.config.section import UnreadableError
from twinroot.units import MIB, exact, partition_type, partition_type_names

GPT_HEADER = MIB  # 34 sectors, rounded up
GPT_FOOTER = MIB  # 33 sectors, rounded up
MAX_PARTITIONS = 128  # entries of the usual table


@dataclass(frozen=True)
class ResolvedPartition:
    """A partition with everything decided. `start` is its first byte, `end` the first byte after it."""

    number: int
    id: str
    label: str
    type: str
    type_uuid: UUID
    start: int
    end: int

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.end - self.start


@dataclass(frozen=True)
class Layout:
    """A disk with everything decided. Partitions are in the order of their numbers, not necessarily of their places."""

    disk_size: int
    partitions: tuple[ResolvedPartition, ...]

    def by_id(self, partition_id: str) -> ResolvedPartition:
        """The partition with this id; KeyError if there is none."""
        for partition in self.partitions:
            if partition.id == partition_id:
                return partition
        raise KeyError(partition_id)


class _Span(NamedTuple):
    start: int
    end: int | None  # None: up to the end of the disk


def resolve_layout(disk: Disk, path: KeyPath, architecture: str = "x86_64") -> tuple[Layout | None, list[Finding]]:
    """The layout of a disk, None when there are findings. `path` is the key path of the disk."""
    findings = list(layout_findings(disk, path))
    if findings:
        return None, findings
    spans = _spans(disk.partitions)
    disk_size = disk.max_size or max(span.end or 0 for span in spans) + GPT_FOOTER
    partitions = tuple(
        ResolvedPartition(
            number=number,
            id=partition.id,
            label=partition.label,
            type=partition.type,
            type_uuid=type_uuid(partition.type, architecture),
            start=span.start,
            end=disk_size - GPT_FOOTER if span.end is None else span.end,
        )
        for number, (partition, span) in enumerate(zip(disk.partitions, spans, strict=True), start=1)
    )
    return Layout(disk_size, partitions), []


def size_key(disk: Disk, layout: Layout, path: KeyPath) -> KeyPath:
    """The key that makes a disk as large as it is: `maxSize`, else the size of its largest partition."""
    if disk.max_size is not None or not layout.partitions:
        return (*path, "maxSize")
    return partition_size_key(disk, max(layout.partitions, key=lambda part: part.size), path)


def partition_size_key(disk: Disk, partition: ResolvedPartition, path: KeyPath) -> KeyPath:
    """The key that makes a partition as large as it is."""
    index = partition.number - 1
    key = "size" if disk.partitions[index].end is None else "end"
    return (*path, "partitions", index, key)


def type_uuid(type_: str, architecture: str) -> UUID:
    """The UUID of a decoded partition type: a name or a UUID."""
    return partition_type(type_, architecture) if type_ in partition_type_names(architecture) else UUID(type_)


def layout_findings(disk: Disk, path: KeyPath) -> Iterator[Finding]:
    """What is wrong with the layout of a disk, as far as its values can be read."""
    findings = list(_single_findings(disk, path))
    yield from findings
    if findings:
        return
    placed = _readable(disk)
    spans = _spans(placed)
    for index, (partition, span) in enumerate(zip(placed, spans, strict=True)):
        findings += _span_findings(partition, span, (*path, "partitions", index))
    findings = findings or _overlaps(spans, path)
    yield from findings
    if not findings and len(placed) == len(disk.partitions):
        yield from _room_findings(disk, spans, path)


def _single_findings(disk: Disk, path: KeyPath) -> Iterator[Finding]:
    """What can be said before any place is computed."""
    if len(disk.partitions) > MAX_PARTITIONS:
        yield Finding((*path, "partitions"), f"a GPT holds at most {MAX_PARTITIONS} partitions")
    for index, partition in enumerate(disk.partitions):
        with suppress(UnreadableError):
            yield from _size_findings(disk, index, partition, (*path, "partitions", index))
    if not disk.partitions and disk.max_size is None:
        yield Finding((*path, "maxSize"), "this key is required when the disk has no partitions")


def _size_findings(disk: Disk, index: int, partition: Partition, path: KeyPath) -> Iterator[Finding]:
    size = (*path, "size") if partition.size else path
    if partition.end is not None and partition.size is not None:
        yield Finding(size, "'size' and 'end' may not be given together", "remove one of them")
    elif partition.is_open and index < len(disk.partitions) - 1:
        hint = "give this one a size, or move it to the end of the list"
        yield Finding(size, "only the last partition may fill the disk", hint)
    elif partition.is_open and disk.max_size is None:
        hint = "give this partition a size, or the disk a maxSize"
        yield Finding(size, "a partition can only fill a disk that has a maxSize", hint)


def _readable(disk: Disk) -> tuple[Partition, ...]:
    """The partitions before the first whose place nobody knows, as a value of it is wrong."""
    for index, partition in enumerate(disk.partitions):
        try:
            _ = partition.start, partition.end, partition.size, partition.type
        except UnreadableError:
            return disk.partitions[:index]
    return disk.partitions


def _spans(partitions: tuple[Partition, ...]) -> list[_Span]:
    """Start and end of each partition. All but the last of the disk have an end (`_single_findings`)."""
    spans: list[_Span] = []
    previous_end = GPT_HEADER
    for partition in partitions:
        start = previous_end if partition.start is None else partition.start
        end = start + partition.size if isinstance(partition.size, int) else partition.end
        spans.append(_Span(start, end))
        previous_end = start if end is None else end
    return spans


def _span_findings(partition: Partition, span: _Span, path: KeyPath) -> list[Finding]:
    if span.start < GPT_HEADER and partition.start is not None:
        message = "the first 1 MiB of the disk is reserved for the partition table"
        return [Finding((*path, "start"), message, "start at 1M or later")]
    if span.end is not None and span.end <= span.start:
        message = f"the end ({exact(span.end)}) must lie after the start ({exact(span.start)})"
        return [Finding((*path, "end"), message)]
    if partition.type == "bios-grub" and span.start != GPT_HEADER:
        message = f"a bios-grub partition must start at 1 MiB, not at {exact(span.start)}"
        key = (*path, "start") if partition.start is not None else path
        return [Finding(key, message, "make it the first partition")]
    return []


def _overlaps(spans: list[_Span], path: KeyPath) -> list[Finding]:
    """Partitions that begin before an earlier one on the disk has ended; each is reported once."""
    findings = []
    by_start = sorted(range(len(spans)), key=lambda index: (spans[index].start, index))
    reach: int | None = None  # the partition that ends last so far
    for index in by_start:
        if reach is not None and _end(spans[reach]) > spans[index].start:
            later, earlier = max(index, reach), min(index, reach)
            message = f"this partition ({_range(spans[later])}) overlaps partition {earlier + 1}"
            finding = Finding((*path, "partitions", later), f"{message} ({_range(spans[earlier])})")
            if finding not in findings:
                findings.append(finding)
        if reach is None or _end(spans[index]) > _end(spans[reach]):
            reach = index
    return findings


def _end(span: _Span) -> float:
    return float("inf") if span.end is None else span.end


def _range(span: _Span) -> str:
    end = "the end of the disk" if span.end is None else exact(span.end)
    return f"{exact(span.start)} to {end}"


def _room_findings(disk: Disk, spans: list[_Span], path: KeyPath) -> list[Finding]:
    """Whether the partitions and the backup table fit; a partition that fills the disk gets at least 1 MiB."""
    needed = max((span.start + MIB if span.end is None else span.end for span in spans), default=GPT_HEADER)
    needed += GPT_FOOTER
    if disk.max_size is None:
        if needed < 2**63:
            return []
        return [Finding((*path, "partitions"), "the partitions reach beyond 8 EiB")]
    if needed <= disk.max_size:
        return []
    message = f"the partitions need {exact(needed)}, but maxSize is only {exact(disk.max_size)}"
    hint = f"the last 1 MiB of the disk is the backup partition table; use maxSize {exact(needed)} or more"
    return [Finding((*path, "maxSize"), message, hint)]
