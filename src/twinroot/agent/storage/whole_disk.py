"""Which disk a whole image is streamed onto, and what is written there (servicing spec 17.5, COSI spec 9.8). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.disk_plan import DiskFacts
from twinroot.agent.storage.image_checks import EXT
from twinroot.formats import gpt
from twinroot.formats.cosi.layout import Placed
from twinroot.formats.cosi.model import Metadata
from twinroot.units import ESP, MIB, exact

_TAIL = MIB
"""Bytes at the end of a partition where arrays and old filesystems have what they are recognised by."""


@dataclass(frozen=True)
class Candidate:
    """A disk that an image may go onto. `removable` ones are taken only when somebody names them.

    With a `fault` nothing but its device is known of it.
    """

    facts: DiskFacts
    removable: bool = False
    fault: str | None = None


@dataclass(frozen=True)
class WholeDisk:
    """What is written onto a disk: its table, images in the order of their places, and those that grow."""

    device: str
    table: gpt.Table
    images: tuple[Placed, ...]
    growing: tuple[Placed, ...]

    @property
    def tails(self) -> tuple[tuple[int, int], ...]:
        """Stretches behind images that end before their partitions do, to be cleared: offsets and lengths."""
        found = []
        for placed in self.images:
            rest = min(placed.size - placed.image.uncompressed_size, _TAIL)
            if rest:
                found.append((placed.offset + placed.size - rest, rest))
        return tuple(found)


def choose_disk(candidates: Sequence[Candidate], table: gpt.Table) -> DiskFacts:
    """The smallest disk that the table of an image fits onto and nobody uses; ServicingError `no-suitable-disk`."""
    reasons = {candidate.facts.device: _obstacle(candidate, table) for candidate in candidates}
    fitting = [candidate.facts for candidate in candidates if reasons[candidate.facts.device] is None]
    if fitting:
        return min(fitting, key=lambda facts: (facts.size, facts.device))
    listed = "".join(f"\n  {device}: {reason}" for device, reason in sorted(reasons.items()))
    message = f"no disk is right for this image{':' if listed else ', as there is none'}{listed}"
    raise ServicingError("no-suitable-disk", message, hint="name the disk with --disk, or make one free")


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
    facts: DiskFacts, table: gpt.Table, images: Sequence[Placed], metadata: Metadata, foreign: frozenset[UUID]
) -> WholeDisk:
    """What is written onto a disk. `foreign` are the UUIDs of partitions of other disks. ServicingError.

    The table is the image's, on a disk that may be larger. Only filesystems that the metadata say to be of the ext
    family grow, and of those none that verity protects.
    """
    if not (_esp_is_mounted(metadata) or table.boot_code):
        message = "nothing can start from this image: it has no EFI system partition with a mount point"
        raise ServicingError("derive-host-configuration", message)
    twice = next((entry.uuid for entry in table.partitions if entry.uuid in foreign), None)
    if twice:
        message = f"another disk of this machine has a partition with the UUID {twice} already"
        raise ServicingError(
            "create-partitions", message, hint="take it out, or wipe it: the machine may start from it"
        )
    growing = {each.image.path for each in metadata.images if each.fs_type in EXT and not each.verity}
    return WholeDisk(
        facts.device,
        replace(table, disk_size=facts.size),
        tuple(images),
        tuple(placed for placed in images if placed.shrunk and placed.image.path in growing),
    )


def _esp_is_mounted(metadata: Metadata) -> bool:
    return any(each.part_type == ESP and each.mount_point for each in metadata.images)
