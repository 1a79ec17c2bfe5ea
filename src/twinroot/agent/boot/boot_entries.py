"""The agent's boot entries: what is to be changed in the firmware's variables (servicing spec, sections 9 and 11).

Pure. Every plan is an order of changes of which each leaves a machine that boots a complete system, so that power may
fail between any two: an entry is there before a list names it, it leaves all lists before it goes, and what decides
which system starts is one write. Entries of others keep their numbers, contents and order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twinroot.agent.boot.efi_variables import Change, Delete, EfiVariables, Set, Variable
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.errors import FormatError
from twinroot.formats.efi_boot import (
    ACTIVE,
    HardDrive,
    LoadOption,
    new_option,
    read_numbers,
    read_option,
    write_numbers,
    write_option,
)

_ENTRY = re.compile(r"Boot([0-9A-F]{4})")
_LAST = 0xFFFF
ORDER, NEXT, CURRENT = Variable("BootOrder"), Variable("BootNext"), Variable("BootCurrent")


@dataclass(frozen=True)
class BootVariables:
    """The boot variables of a machine. `entries` by number, but for those that cannot be read; `taken` are all numbers.

    `current` is the entry that the running system was started by, None when the firmware does not say.
    """

    entries: Mapping[int, LoadOption] = field(default_factory=dict)
    order: tuple[int, ...] = ()
    next: int | None = None
    current: int | None = None
    taken: frozenset[int] = frozenset()


def label_of(volume: AbVolume, install_index: int) -> str:
    """The name of a slot in boot entries and below EFI of the ESP: AZLA, AZLB, AZL2A, …"""
    return f"AZL{install_index + 1 if install_index else ''}{'A' if volume == 'volume-a' else 'B'}"


def loader_of(label: str, efi_architecture: str) -> str:
    """The loader of a slot, as boot entries name it; `efi_architecture` is x64 or aa64."""
    return f"\\EFI\\{label}\\boot{efi_architecture}.efi"


def read_boot_variables(variables: EfiVariables) -> BootVariables:
    """The boot variables as they are; ServicingError where the lists among them cannot be read."""
    found: dict[int, LoadOption] = {}
    taken: set[int] = set()
    for name in variables.names():
        match = _ENTRY.fullmatch(name)
        if not match:
            continue
        number = int(match[1], 16)
        taken.add(number)
        try:
            found[number] = read_option(variables.read(Variable(name)) or b"")
        except FormatError:
            continue  # Another's entry that we cannot read is left alone.
    order, following, current = (_numbers(variables, variable) for variable in (ORDER, NEXT, CURRENT))
    first = [numbers[0] if numbers else None for numbers in (following, current)]
    return BootVariables(found, order, first[0], first[1], frozenset(taken))


def plain_variables(now: BootVariables) -> dict[str, Any]:
    """The boot variables for a report."""
    entries = {
        variable_of(number).name: {
            "description": option.description,
            "active": bool(option.attributes & ACTIVE),
            "partition": str(option.partition.uuid) if option.partition else None,
            "loader": option.loader,
        }
        for number, option in sorted(now.entries.items())
    }
    return {
        "current": None if now.current is None else variable_of(now.current).name,
        "next": None if now.next is None else variable_of(now.next).name,
        "order": [variable_of(number).name for number in now.order],
        "entries": entries,
    }


def entries_of(now: BootVariables, label: str) -> tuple[int, ...]:
    """The numbers of a slot's entries: they have its name and start a file of its directory."""
    place = f"\\efi\\{label}\\".lower()
    return tuple(
        number
        for number, option in sorted(now.entries.items())
        if option.description == label and (option.loader or "").lower().startswith(place)
    )


def disarm(now: BootVariables, label: str) -> tuple[Change, ...]:
    """Before a slot is overwritten: the firmware starts it last, and not next time."""
    ours = entries_of(now, label)
    changes: list[Change] = [Delete(NEXT)] if now.next in ours else []
    return (*changes, *_order(now, _moved(now.order, ours, front=False)))


def arm(
    now: BootVariables,
    label: str,
    loader: str,
    partitions: Sequence[HardDrive],
    *,
    lasting: bool,
    keep_order: bool = False,
) -> tuple[Change, ...]:
    """New entries for a slot, one for each partition that holds the ESP, of which the first starts next time.

    `lasting`: they go to the front of the order, for an installation or a rollback that is to stay; else to its end, as
    firmware drops entries that no list names. `keep_order` leaves all that to the commit. Entries that the slot had
    before go. ServicingError when there are no partitions or no free numbers.
    """
    old = entries_of(now, label)
    numbers, changes = _new_entries(now, label, loader, partitions)
    others = tuple(number for number in now.order if number not in old)
    following = Set(NEXT, write_numbers(numbers[:1]))
    if keep_order:
        # The order may be left with nothing that starts, so that what starts next comes first.
        changes += (following, *_order(now, others))
    else:
        changes += (*_order(now, (*numbers, *others) if lasting else (*others, *numbers)), following)
    return (*changes, *(Delete(variable_of(number)) for number in old))


def arm_existing(now: BootVariables, label: str, *, keep_order: bool = False) -> tuple[Change, ...]:
    """A rollback to a slot whose entries are there: the first of them starts next time, all of them from then on.

    Empty when the slot has no entries; `arm` makes them.
    """
    ours = entries_of(now, label)
    if not ours:
        return ()
    order = () if keep_order else _order(now, _moved(now.order, ours, front=True))
    return (*order, Set(NEXT, write_numbers(ours[:1])))


def promote(
    now: BootVariables, label: str, loader: str, partitions: Sequence[HardDrive], *, only_missing: bool = False
) -> tuple[Change, ...]:
    """The firmware starts a slot by default: its entries go to the front, and are made where there are none.

    At a commit whichever entry was used, which need not be one of the slot: a loader of the other half finds its
    kernel, too. `only_missing`: nothing is changed where the order names the slot. ServicingError as from `arm`.
    """
    ours = entries_of(now, label)
    if only_missing and set(ours).intersection(now.order):
        return ()
    if ours:
        return _order(now, _moved(now.order, ours, front=True))
    numbers, changes = _new_entries(now, label, loader, partitions)
    return (*changes, *_order(now, (*numbers, *now.order)))


def variable_of(number: int) -> Variable:
    """The variable of a boot entry."""
    return Variable(f"Boot{number:04X}")


def _new_entries(
    now: BootVariables, label: str, loader: str, partitions: Sequence[HardDrive]
) -> tuple[tuple[int, ...], list[Change]]:
    """Entries for a slot that no list names yet, one for each partition: their numbers, and what makes them."""
    if not partitions:
        raise ServicingError("create-boot-entry", "no partition holds the ESP, so no boot entry can be made")
    numbers = _free_numbers(now, len(partitions))
    made = (
        Set(variable_of(number), write_option(new_option(label, partition, loader)))
        for number, partition in zip(numbers, partitions, strict=True)
    )
    return numbers, list(made)


def _moved(order: Sequence[int], numbers: Sequence[int], *, front: bool) -> tuple[int, ...]:
    """The order with some numbers at one end of it: those that it names in its order, then the others."""
    moved = (*(n for n in order if n in numbers), *(n for n in numbers if n not in order)) if front else ()
    if not front:
        moved = tuple(n for n in order if n in numbers)
    others = tuple(n for n in order if n not in numbers)
    return (*moved, *others) if front else (*others, *moved)


def _order(now: BootVariables, wanted: Iterable[int]) -> tuple[Change, ...]:
    """The change of the order, if it is one; numbers that are there twice stay once."""
    order = tuple(dict.fromkeys(wanted))
    if order == now.order:
        return ()
    return (Set(ORDER, write_numbers(order)),) if order else (Delete(ORDER),)


def _free_numbers(now: BootVariables, count: int) -> tuple[int, ...]:
    """Numbers of no entry, which no list names either: what a list names already would be started at once."""
    used = {*now.taken, *now.entries, *now.order, *(n for n in (now.next, now.current) if n is not None)}
    found = [number for number in range(_LAST + 1) if number not in used][:count]
    if len(found) < count:
        raise ServicingError("create-boot-entry", "the firmware has no free number for a boot entry")
    return tuple(found)


def _numbers(variables: EfiVariables, variable: Variable) -> tuple[int, ...]:
    try:
        return read_numbers(variables.read(variable) or b"")
    except FormatError as error:
        raise ServicingError("list-and-parse-boot-entries", f"{variable.name}: {error.message}") from error
