"""Which partition tables an installation writes: from a configuration and what is on the disks to whole tables. Pure.

Host-config spec, sections 5.1 to 5.3, and servicing spec, section 6.3. Partitions lie in the order given, each
beginning at a whole MiB; those that grow share what is left of the disk equally. Adopted partitions stay where
they are with number, UUID and name, and new ones fill the gaps between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from twinroot.agent.errors import ServicingError
from twinroot.config.host.disks import AdoptedPartition, Disk, Partition
from twinroot.config.host.storage import Storage
from twinroot.errors import BusyError
from twinroot.formats import gpt
from twinroot.units import MIB, exact, partition_type, round_down, round_up

ALIGNMENT = MIB
LEAST_GROWN = 10 * MIB
"""Bytes; what a partition that grows must at least be able to have (systemd-repart's least size)."""


@dataclass(frozen=True)
class Use:
    """Something that uses a disk, or one of its partitions: `what` for a message, such as `mounted at /boot`."""

    number: int | None
    what: str


@dataclass(frozen=True)
class DiskFacts:
    """What a disk is: its real device, sizes in bytes, its table where it has a GPT, and who uses it."""

    device: str
    size: int
    sector_size: int = 512
    read_only: bool = False
    table: gpt.Table | None = None
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True)
class DiskPlan:
    """A disk and the table that it gets. `numbers` are the partitions' by id; `new` is false where some were kept."""

    disk_id: str
    device: str
    table: gpt.Table
    numbers: Mapping[str, int]
    new: bool

    def uuid_of(self, partition_id: str) -> UUID:
        """The UUID of a partition by its id."""
        return self.table.partition(self.numbers[partition_id]).uuid


def plan_disks(
    storage: Storage,
    facts: Mapping[str, DiskFacts],
    *,
    architecture: str,
    seed: UUID,
    foreign: frozenset[UUID] = frozenset(),
) -> tuple[DiskPlan, ...]:
    """The tables of all disks of a configuration; `facts` by disk id.

    New UUIDs follow from `seed`. `foreign` are the UUIDs of partitions on disks that stay as they are. Raises BusyError
    when anything that would be lost is in use, ServicingError for what cannot be done. Nothing is planned by halves.
    """
    _check_distinct(storage, facts)
    plans = tuple(_plan_disk(disk, facts[disk.id], architecture, seed) for disk in storage.disks)
    uuids = Counter(partition.uuid for plan in plans for partition in plan.table.partitions)
    twice = [uuid for uuid, count in uuids.items() if count > 1 or uuid in foreign]
    if twice:
        message = f"two partitions of this machine would have the UUID {twice[0]}"
        raise ServicingError("create-partitions", message, hint="leave uuid out, or wipe the other disk")
    return plans


def _check_distinct(storage: Storage, facts: Mapping[str, DiskFacts]) -> None:
    seen: dict[str, str] = {}
    for disk in storage.disks:
        other = seen.setdefault(facts[disk.id].device, disk.id)
        if other != disk.id:
            message = f"the disks {other} and {disk.id} are the same device, {facts[disk.id].device}"
            inner = "disk-definitions-refer-to-same-device"
            raise ServicingError("invalid-host-configuration-dynamic", message, inner=inner)


def _plan_disk(disk: Disk, facts: DiskFacts, architecture: str, seed: UUID) -> DiskPlan:
    adopted = _adopted(disk, facts)
    _check_free(disk, facts, {partition.number for partition in adopted.values()})
    if disk.adopted_partitions and facts.table:
        base = replace(facts.table, disk_size=facts.size, partitions=tuple(adopted.values()))
    else:
        base = gpt.Table(uuid5(seed, f"disk {disk.id}"), facts.size, (), facts.sector_size)
    if base.last_usable_lba <= base.first_usable_lba:
        raise _error(disk, f"the disk has {exact(facts.size)}, which is too small for a partition table")
    places = _places(disk, base)
    free = (number for number in range(1, base.entry_count + 1) if number not in {p.number for p in base.partitions})
    created: dict[str, gpt.Partition] = {}
    for partition in disk.partitions:
        number = next(free, None)
        if number is None:
            raise _error(disk, f"a partition table holds at most {base.entry_count} partitions")
        created[partition.id] = _entry(
            disk, partition, number, places[partition.id], base.sector_size, architecture, seed
        )
    table = replace(base, partitions=(*base.partitions, *created.values()))
    gpt.primary_bytes(table)  # whatever it cannot express is known before anything is touched
    numbers = {name: entry.number for name, entry in (*adopted.items(), *created.items())}
    return DiskPlan(disk.id, facts.device, table, numbers, not disk.adopted_partitions)


def _entry(
    disk: Disk,
    partition: Partition,
    number: int,
    place: tuple[int, int],
    sector: int,
    architecture: str,
    seed: UUID,
) -> gpt.Partition:
    name = partition.label if partition.label is not None else partition.id
    if len(name.encode("utf-16-le", "replace")) > 2 * gpt.NAME_CHARACTERS:
        message = f"the label '{name}' is longer than the {gpt.NAME_CHARACTERS} characters of a partition table"
        raise _error(disk, message, "set a shorter label")
    uuid = UUID(partition.uuid) if partition.uuid else uuid5(seed, f"partition {partition.id}")
    start, end = (edge // sector for edge in place)
    return gpt.Partition(number, _type(partition.type, architecture), uuid, start, end - 1, 0, name)


def _type(name: str, architecture: str) -> UUID:
    try:
        return partition_type(name, architecture)
    except KeyError:
        return UUID(name)


def _adopted(disk: Disk, facts: DiskFacts) -> dict[str, gpt.Partition]:
    """The partitions to keep, by id."""
    if not disk.adopted_partitions:
        return {}
    if facts.table is None:
        message = f"disk {disk.id}: {facts.device} has no GPT, so that there are no partitions to adopt"
        inner = "adopt-partitions-on-non-gpt-partitioned-disk"
        raise ServicingError("invalid-host-configuration-dynamic", message, inner=inner)
    found = {wanted.id: _match(disk, wanted, facts.table) for wanted in disk.adopted_partitions}
    numbers = Counter(partition.number for partition in found.values())
    for name, partition in found.items():
        if numbers[partition.number] > 1:
            raise _error(disk, f"adopted partition {name} is the same as another one, partition {partition.number}")
    return found


def _match(disk: Disk, wanted: AdoptedPartition, table: gpt.Table) -> gpt.Partition:
    if wanted.match_uuid is not None:
        found = [each for each in table.partitions if each.uuid == UUID(wanted.match_uuid)]
        what = f"the UUID {wanted.match_uuid}"
    else:
        found = [each for each in table.partitions if each.name == wanted.match_label]
        what = f"the label '{wanted.match_label}'"
    if len(found) != 1:
        there = ", ".join(f"{each.number} '{each.name}' {each.uuid}" for each in table.partitions) or "none"
        message = f"{len(found) or 'no'} partitions have {what}, but exactly one must (adopted partition {wanted.id})"
        raise _error(disk, message, f"the disk's partitions: {there}")
    return found[0]


def _check_free(disk: Disk, facts: DiskFacts, kept: set[int]) -> None:
    if facts.read_only:
        raise _error(disk, f"{facts.device} cannot be written, it is read-only")
    for use in facts.uses:
        if use.number is None or use.number not in kept:
            part = f"partition {use.number} of {facts.device}" if use.number else facts.device
            hint = "unmount it or stop what uses it, or adopt the partition"
            raise BusyError(f"{part} is in use ({use.what}) and would be overwritten", where=disk.id, hint=hint)


def _gaps(table: gpt.Table) -> Iterator[tuple[int, int]]:
    """Free stretches (start, end) in bytes, ascending, their edges at whole MiB."""
    size = table.sector_size
    position = table.first_usable_lba
    ends = [(each.first_lba, each.last_lba + 1) for each in table.by_start()]
    for first, after in (*ends, (table.last_usable_lba + 1, 0)):
        start, end = round_up(position * size, ALIGNMENT), round_down(first * size, ALIGNMENT)
        if start < end:
            yield start, end
        position = max(position, after)


def _places(disk: Disk, table: gpt.Table) -> dict[str, tuple[int, int]]:
    """Where each new partition lies, (start, end) in bytes."""
    gaps = list(_gaps(table))
    left = [end - start for start, end in gaps]
    growing = [0] * len(gaps)
    chosen: dict[str, int] = {}
    for partition in disk.partitions:
        if isinstance(partition.size, int):
            wanted = round_up(partition.size, ALIGNMENT)
            fitting = [index for index, room in enumerate(left) if room >= wanted]
            if not fitting:
                raise _too_small(disk, partition, wanted, left)
            chosen[partition.id] = fitting[0]
            left[fitting[0]] -= wanted
    for partition in disk.partitions:
        if partition.size == "grow":
            best = max(range(len(gaps)), key=lambda index: left[index] // (growing[index] + 1), default=None)
            if best is None or left[best] // (growing[best] + 1) < LEAST_GROWN:
                raise _too_small(disk, partition, LEAST_GROWN, left)
            chosen[partition.id] = best
            growing[best] += 1
    shares = [round_down(room // count, ALIGNMENT) if count else 0 for room, count in zip(left, growing, strict=True)]
    position = [start for start, _end in gaps]
    places: dict[str, tuple[int, int]] = {}
    for partition in disk.partitions:
        index = chosen[partition.id]
        size = partition.size if isinstance(partition.size, int) else shares[index]
        places[partition.id] = (position[index], position[index] + size)
        position[index] += round_up(size, ALIGNMENT)
    return places


def _too_small(disk: Disk, partition: Partition, wanted: int, left: list[int]) -> ServicingError:
    room = max(left, default=0)
    message = f"partition {partition.id} needs {exact(wanted)}, but the disk has only {exact(room)} left in one piece"
    return _error(disk, message, "make partitions smaller, or use a larger disk")


def _error(disk: Disk, message: str, hint: str | None = None) -> ServicingError:
    return ServicingError("create-partitions", f"disk {disk.id}: {message}", hint=hint)
