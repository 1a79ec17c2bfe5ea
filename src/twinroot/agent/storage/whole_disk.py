"""Which disk a whole image is streamed onto, and what is written there (servicing spec 17.5, COSI spec 9.8). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.disk_plan import DiskFacts
from twinroot.agent.storage.image_checks import EXT
from twinroot.errors import FormatError
from twinroot.formats import gpt
from twinroot.formats.cosi.layout import Placed, unplaced_hashes
from twinroot.formats.cosi.model import Metadata
from twinroot.units import ESP, MIB, exact

_HEAD, _TAIL = 5 * MIB, MIB
"""Bytes at the beginning and the end of a partition within which filesystems, encrypted volumes (LUKS2 has a second
header at up to 4 MiB) and arrays have what they are recognised by.
"""
_MOST_PARTITIONS = 255  # of which Linux knows on a disk


@dataclass(frozen=True)
class Candidate:
    """A disk that an image may go onto. `removable` ones are taken only when somebody names them.

    With a `fault` nothing but its device is known of it; it is `unsettled` when more may be known in a moment.
    """

    facts: DiskFacts
    removable: bool = False
    fault: str | None = None
    unsettled: bool = False


@dataclass(frozen=True)
class WholeDisk:
    """What is written onto a disk: its table, images in the order of their places, and those that grow."""

    device: str
    table: gpt.Table
    images: tuple[Placed, ...]
    growing: tuple[Placed, ...]

    @property
    def cleared(self) -> tuple[tuple[int, int], ...]:
        """Stretches behind images, offsets and lengths, where something old may be recognised; in bytes."""
        found = []
        for placed in self.images:
            end = placed.offset + placed.size
            start = placed.offset + placed.image.uncompressed_size
            head = max(min(placed.offset + _HEAD, end) - start, 0)
            tail = min(end - start - head, _TAIL)
            found += [(start, head), (end - tail, tail)]
        return tuple((offset, length) for offset, length in found if length)


def choose_disk(candidates: Sequence[Candidate], table: gpt.Table) -> DiskFacts:
    """The smallest disk that the table of an image fits onto and nobody uses; ServicingError `no-suitable-disk`.

    None is chosen while another one may turn out to be the right one.
    """
    for candidate in candidates:
        if candidate.unsettled:
            message = f"no disk is chosen as long as one is in doubt: {candidate.facts.device}: {candidate.fault}"
            hint = "try again when no other program changes it, or name the disk, with trident stream-disk --disk"
            raise ServicingError("no-suitable-disk", message, hint=hint)
    reasons = {candidate.facts.device: _obstacle(candidate, table) for candidate in candidates}
    fitting = [candidate.facts for candidate in candidates if reasons[candidate.facts.device] is None]
    if fitting:
        return min(fitting, key=lambda facts: (facts.size, facts.device))
    listed = "".join(f"\n  {device}: {reason}" for device, reason in sorted(reasons.items()))
    message = f"no disk is right for this image{':' if listed else ', as there is none'}{listed}"
    raise ServicingError(
        "no-suitable-disk", message, hint="name the disk, with trident stream-disk --disk, or make one free"
    )


def check_disk(facts: DiskFacts, table: gpt.Table) -> None:
    """ServicingError unless a disk that somebody named is right for an image."""
    reason = _obstacle(Candidate(facts), table)
    if reason:
        raise ServicingError("no-suitable-disk", f"{facts.device} is not right for this image: {reason}")


def _obstacle(candidate: Candidate, table: gpt.Table) -> str | None:
    facts = candidate.facts
    if candidate.fault:
        return candidate.fault
    if facts.uses:
        return f"it is {facts.uses[0].what}"
    if facts.size < table.disk_size:
        return f"it has {exact(facts.size)}, the image needs {exact(table.disk_size)}"
    if facts.sector_size != table.sector_size:
        return f"its sectors have {facts.sector_size} bytes, those of the image {table.sector_size}"
    if facts.read_only:
        return "it is read-only"
    return "it is removable" if candidate.removable else None


def plan_whole_disk(
    facts: DiskFacts,
    table: gpt.Table,
    images: Sequence[Placed],
    metadata: Metadata,
    foreign: frozenset[UUID],
    *,
    efi: bool,
) -> WholeDisk:
    """What is written onto a disk. `foreign` are the UUIDs of partitions of other disks; `efi`: a UEFI starts it.

    The table is the image's, on a disk that may be larger. Only filesystems that the metadata say to be of the ext
    family grow, and of those none that verity protects. ServicingError for what cannot be, or could not start.
    """
    _check_start(table, images, metadata, efi=efi)
    _check_uuids(table, foreign)
    placed_table = replace(table, disk_size=facts.size)
    if any(entry.number > _MOST_PARTITIONS for entry in table.partitions):
        raise ServicingError("create-partitions", f"the image has a partition with a number above {_MOST_PARTITIONS}")
    try:
        gpt.primary_bytes(placed_table)
        gpt.backup_bytes(placed_table)
    except FormatError as error:
        message = f"the partition table of the image does not fit onto {facts.device}: {error.message}"
        raise ServicingError("create-partitions", message) from error
    growing = {each.image.path for each in metadata.images if each.fs_type in EXT and not each.verity}
    return WholeDisk(
        facts.device,
        placed_table,
        tuple(images),
        tuple(placed for placed in images if placed.shrunk and placed.image.path in growing),
    )


def _check_start(table: gpt.Table, images: Sequence[Placed], metadata: Metadata, *, efi: bool) -> None:
    """ServicingError for an image that has not all that it takes to start a machine."""
    mounted = {each.image.path for each in metadata.images if each.mount_point}
    esp = any(placed.partition.type_uuid == ESP and placed.image.path in mounted for placed in images)
    if not esp and (efi or not table.boot_code):
        message = "nothing can start from this image: it has no EFI system partition with a mount point"
        raise ServicingError("derive-host-configuration", message)
    if not any(each.mount_point == "/" for each in metadata.images):
        raise ServicingError("derive-host-configuration", "nothing can start from this image: it has no root")
    for mount_point in unplaced_hashes(metadata):
        message = f"nothing can start from this image: the verity hashes of {mount_point} are in no partition"
        raise ServicingError("derive-host-configuration", message)


def _check_uuids(table: gpt.Table, foreign: frozenset[UUID]) -> None:
    """ServicingError where a partition would not be the only one with its UUID."""
    counts = Counter(entry.uuid for entry in table.partitions)
    for uuid, count in counts.items():
        if count > 1:
            raise ServicingError("create-partitions", f"the image has {count} partitions with the UUID {uuid}")
        if uuid in foreign:
            message = f"another disk of this machine has a partition with the UUID {uuid} already"
            hint = "take it out, or wipe it: the machine may start from it"
            raise ServicingError("create-partitions", message, hint=hint)
