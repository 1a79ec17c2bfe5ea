"""Checks a COSI file against every rule of the format, contents included.

Nothing is taken on trust: the archive's structure down to its padding bytes (rules T of the COSI spec), the metadata
in strict mode (S, V, G, SCHEMA) with the integrity value that our own writer adds (`metadata`), and every image:
size, SHA-384, window, decompressed length, the partition table and how it fits the regions (C, G, P, R, D, section
6). In a file that we wrote, any changed byte before the end of the archive is therefore found. Bytes behind the end
marker are somebody else's (T4): that there are any is a warning, unless they are zeros or the footer of a VHD.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from twinroot.errors import FormatError
from twinroot.formats import gpt, vhd
from twinroot.formats.cosi import metadata as documents
from twinroot.formats.cosi import model, tar
from twinroot.formats.cosi.model import Finding, ImageFile, Metadata
from twinroot.formats.cosi.order import order_findings
from twinroot.formats.cosi.reader import metadata_text, pread
from twinroot.formats.cosi.writer import MARKER, METADATA
from twinroot.formats.hash_behind import Sha384Behind
from twinroot.formats.zstd_headers import WindowError
from twinroot.formats.zstd_reader import LengthError, Piece, process
from twinroot.units import MIB

_STEP = MIB
_MAX_GPT = 16 * MIB
_ARCHIVE = "archive"


@dataclass(frozen=True)
class Report:
    """What was found. `metadata` is None if it could not be read.

    `whole` are the images that are whole in the file, right or wrong; `table` is whether the partition table was
    among those that are right, so that it could be looked at.
    """

    metadata: Metadata | None
    findings: tuple[Finding, ...]
    whole: frozenset[str] = frozenset()
    table: bool = False

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What makes the file invalid."""
        return tuple(finding for finding in self.findings if finding.error)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is unwise or unusual, but allowed."""
        return tuple(finding for finding in self.findings if not finding.error)

    @property
    def ok(self) -> bool:
        """Whether the file is valid."""
        return not self.errors


@dataclass
class _Check:
    """One run: what is read from, what was found so far, and how far we are."""

    read_at: tar.ReadAt
    progress: Callable[[int], None]
    threads: int | None
    found: list[Finding] = field(default_factory=list)
    done: int = 0
    whole: set[str] = field(default_factory=set)

    def error(self, rule: str, where: str, message: str) -> None:
        self.found.append(Finding(rule, where, message))

    def warning(self, rule: str, where: str, message: str) -> None:
        self.found.append(Finding(rule, where, message, error=False))


def verify_cosi(
    path: Path, *, progress: Callable[[int], None] = lambda _done: None, threads: int | None = None
) -> Report:
    """Check a local file. `progress` gets the bytes of images read, at most the file's size.

    Damage of any kind is in the report, not raised; raises OSError as open(2) and read(2) do.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return verify(lambda offset, size: pread(fd, offset, size), progress=progress, threads=threads)
    finally:
        os.close(fd)


def verify(
    read_at: tar.ReadAt, *, progress: Callable[[int], None] = lambda _done: None, threads: int | None = None
) -> Report:
    """Like `verify_cosi`, through any function that reads at offsets."""
    check = _Check(read_at, progress, threads)
    members = _archive(check)
    metadata = _document(check, members)
    gpt_data = None
    if metadata is not None:
        if metadata.version >= (1, 2) and check.read_at(0, len(MARKER)) != MARKER.encode():
            check.error("T8", _ARCHIVE, f"does not begin with the bytes '{MARKER}'")
        check.found += order_findings(members, metadata)
        gpt_data = _images(check, {member.name: member for member in members}, metadata)
    return Report(metadata, tuple(check.found), frozenset(check.whole), gpt_data is not None)


def _archive(check: _Check) -> list[tar.Member]:
    """The members, with the rules that hold for any of them."""
    members: list[tar.Member] = []
    try:
        for member in tar.walk(check.read_at):
            members.append(member)
    except FormatError as error:
        check.error("T2", _ARCHIVE, error.message)
    else:
        end = members[-1].end if members else 0
        if check.read_at(end, len(tar.END)) != tar.END:
            check.error("T3", _ARCHIVE, "does not end with two blocks of zeros")
        else:
            _behind(check, end + len(tar.END))
    seen: set[str] = set()
    ours = any(member.name == METADATA and member.owner == documents.INTEGRITY_OWNER for member in members)
    for member in members:
        if member.name in seen:
            check.error("T6", member.name, "appears twice in the archive")
        seen.add(member.name)
        if member.raw_name.startswith(("./", "/")):
            check.error("T5", member.raw_name, "must not begin with './' or '/'")
        # POSIX has it otherwise ended or padded, too; only in our files is that a changed byte.
        if ours and not member.tidy_checksum:
            check.error("T2", member.name, "has a header checksum in an unusual form")
        padding = check.read_at(member.data + member.size, member.end - member.data - member.size)
        if any(padding):
            check.error("T2", member.name, "is padded with something else than zeros")
    return members


def _behind(check: _Check, offset: int) -> None:
    """What follows the archive, which readers may not interpret (T4)."""
    while data := check.read_at(offset, _STEP):
        rest = data.lstrip(b"\0")
        if rest:
            first = offset + len(data) - len(rest)
            footer = check.read_at(first, vhd.FOOTER_SIZE + 1)
            if not footer.startswith(vhd.COOKIE) or len(footer) > vhd.FOOTER_SIZE:
                message = f"is followed by something else, from byte {first} on, which readers ignore"
                check.warning("T4", _ARCHIVE, message)
            return
        offset += len(data)


def _document(check: _Check, members: list[tar.Member]) -> Metadata | None:
    """The metadata in strict mode, with its integrity value."""
    member = next((member for member in members if member.name == METADATA), None)
    if member is None:
        check.error("O7", _ARCHIVE, "has no metadata.json")
        return None
    try:
        text = metadata_text(check.read_at, member)
    except FormatError as error:
        check.error("O7", METADATA, error.message)
        return None
    inspection = documents.inspect(text, strict=True)
    check.found += inspection.findings
    problem = documents.integrity_problem(text, required=member.owner == documents.INTEGRITY_OWNER)
    if problem:
        check.error("INTEGRITY", METADATA, problem)
    return inspection.metadata


def _images(check: _Check, members: dict[str, tar.Member], metadata: Metadata) -> bytes | None:
    """Sizes, hashes and contents of all images; returns the contents of the partition table's.

    That comes first, so that nothing is decompressed that is too long for its partition.
    """
    region = metadata.gpt_region()
    table: bytes | None = None
    too_long: set[str] = set()
    if region and (member := _member(check, members, region.image)):
        keep = region.image.uncompressed_size <= _MAX_GPT
        table = _contents(check, member, region.image, _Reading(metadata.max_window_log, keep=keep))
        if metadata.disk is not None and table is not None:
            too_long = _table(check, metadata, metadata.disk, table)
    for path, image in metadata.image_files().items():
        if region is None or path != region.image.path:
            member = _member(check, members, image)
            if member:
                _contents(check, member, image, _Reading(metadata.max_window_log, decompress=path not in too_long))
    return table


def _member(check: _Check, members: dict[str, tar.Member], image: ImageFile) -> tar.Member | None:
    """The member of an image."""
    member = members.get(image.path)
    if member is None:
        check.error("W1", image.path, "is named in the metadata but missing in the archive")
    return member


def _joined(pieces: Iterator[Piece]) -> bytes:
    return b"".join(bytes(piece.length) if piece.data is None else piece.data for piece in pieces)


def _nothing(_pieces: Iterator[Piece]) -> bytes:
    return b""


@dataclass(frozen=True)
class _Reading:
    """How an image is read: whether it is decompressed, by what window, and its contents kept."""

    window_log: int | None
    decompress: bool = True
    keep: bool = False


def _contents(check: _Check, member: tar.Member, image: ImageFile, reading: _Reading) -> bytes | None:
    """Hash and decompress an image. Returns its contents if they are good and to be kept."""
    before, kept = check.done, bytearray()
    with Sha384Behind() as digest:
        stream = _compressed(check, member, digest.update)
        problem = _decompressed(check, stream, image, reading, kept) if reading.decompress else None
        for _ in stream:  # what the decoder left still belongs to the hash
            pass
        sha384 = digest.hexdigest()
    if check.done - before < member.size:
        check.error("T2", image.path, f"is cut off: the file has {check.done - before} of its {member.size} bytes")
        return None
    check.whole.add(image.path)
    if sha384 != image.sha384:
        check.error("C4", image.path, "its SHA-384 is not that of the metadata")
    elif problem:
        check.error(problem[0], image.path, problem[1])
    elif reading.keep:
        return bytes(kept)
    return None


def _decompressed(
    check: _Check, stream: Iterator[bytes], image: ImageFile, reading: _Reading, kept: bytearray
) -> tuple[str, str] | None:
    """Decompress an image, into `kept` if it is to be; the rule that is broken, and how."""
    work = _joined if reading.keep else _nothing
    length, window_log = image.uncompressed_size, reading.window_log
    try:
        for part in process(stream, work, length=length, max_window_log=window_log, threads=check.threads):
            kept += part
    except WindowError as error:
        return "C3", error.message
    except LengthError as error:
        return "R4", error.message
    except FormatError as error:
        return "C1", error.message
    return None


def _compressed(check: _Check, member: tar.Member, update: Callable[[bytes], None]) -> Iterator[bytes]:
    end = member.data + member.size
    for offset in range(member.data, end, _STEP):
        data = check.read_at(offset, min(_STEP, end - offset))
        if not data:
            return
        update(data)
        check.done += len(data)
        check.progress(check.done)
        yield data


def _table(check: _Check, metadata: Metadata, disk: model.Disk, data: bytes) -> set[str]:
    """The partition table and how the regions fit it: D3 to D6, P1 to P7, G3, G5, section 6.

    Returns the images that are too long for their partitions.
    """
    where = "primary-gpt"
    try:
        protective = gpt.has_protective_mbr(data)
        table = gpt.read_table(io.BytesIO(data), disk.size)
    except FormatError as error:
        check.error("D5", where, error.message)
        return set()
    if not protective:
        check.error("P2", where, "has no protective MBR")
    if table.sector_size != disk.lba_size:
        check.error("D4", where, f"has sectors of {table.sector_size} bytes, the metadata say {disk.lba_size}")
    if len(data) != gpt.region_length(data, table.sector_size):
        check.error("P1", where, f"is {len(data)} bytes long and does not end with the entry array")
    regions = {region.number: region for region in metadata.partition_regions() if region.number is not None}
    partitions = {partition.number: partition for partition in table.partitions}
    if regions.keys() != partitions.keys():
        listed, used = (", ".join(map(str, sorted(numbers))) for numbers in (regions, partitions))
        check.error("D6", where, f"has the partitions {used}, the metadata list {listed}")
        return set()
    for left, right in pairwise(regions):
        if partitions[left].first_lba > partitions[right].first_lba:
            check.error("G5", "$.disk.gptRegions", f"partition {right} lies before partition {left} on the disk")
    too_long = set()
    types = {filesystem.image.path: filesystem.part_type for filesystem in metadata.images}
    for number, region in regions.items():
        path, size = region.image.path, table.size(partitions[number])
        if region.image.uncompressed_size > size:
            check.error("R5", path, f"is {region.image.uncompressed_size} bytes long, its partition only {size}")
            too_long.add(path)
        if types.get(path, partitions[number].type_uuid) != partitions[number].type_uuid:
            check.warning("3.2", path, "has another partition type in the metadata than in the partition table")
    return too_long
