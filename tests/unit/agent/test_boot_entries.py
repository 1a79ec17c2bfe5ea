"""Plans for the firmware's variables: what they end in, and that each cut on the way boots a complete system."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinroot.agent.boot.boot_entries import (
    NEXT,
    ORDER,
    BootVariables,
    arm,
    arm_existing,
    disarm,
    entries_of,
    label_of,
    loader_of,
    promote,
    variable_of,
)
from twinroot.agent.boot.efi_variables import Change, Delete, Set
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.formats.efi_boot import HardDrive, LoadOption, new_option, read_numbers, read_option

ESP = HardDrive(1, 2048, 131072, UUID(int=1))
MIRROR = HardDrive(1, 2048, 131072, UUID(int=2))


def entry(label: str, directory: str | None = None) -> LoadOption:
    return new_option(label, ESP, f"\\EFI\\{directory or label}\\bootx64.efi")


def state(
    entries: dict[int, LoadOption], order: tuple[int, ...], following: int | None = None, current: int | None = None
) -> BootVariables:
    return BootVariables(entries, order, following, current, frozenset(entries))


def after(now: BootVariables, changes: Iterable[Change]) -> BootVariables:
    """What the firmware holds when changes were made."""
    entries, order, following = dict(now.entries), now.order, now.next
    for change in changes:
        if change.variable == ORDER:
            order = read_numbers(change.value) if isinstance(change, Set) else ()
        elif change.variable == NEXT:
            following = read_numbers(change.value)[0] if isinstance(change, Set) else None
        else:
            number = int(change.variable.name[4:], 16)
            if isinstance(change, Set):
                entries[number] = read_option(change.value)
            else:
                del entries[number]
    return replace(now, entries=entries, order=order, next=following, taken=frozenset(entries))


def started(now: BootVariables) -> str | None:
    """The name of the entry that the firmware starts."""
    first = () if now.next is None else (now.next,)
    return next((now.entries[n].description for n in (*first, *now.order) if n in now.entries), None)


def cuts(now: BootVariables, changes: tuple[Change, ...]) -> list[str | None]:
    """What starts when power fails before each change, and after the last."""
    return [started(after(now, changes[:count])) for count in range(len(changes) + 1)]


@pytest.mark.parametrize(
    ("volume", "index", "label"),
    [("volume-a", 0, "AZLA"), ("volume-b", 0, "AZLB"), ("volume-a", 1, "AZL2A"), ("volume-b", 999, "AZL1000B")],
)
def test_names(volume: AbVolume, index: int, label: str) -> None:
    assert label_of(volume, index) == label
    assert loader_of(label, "x64") == f"\\EFI\\{label}\\bootx64.efi"


OTHERS = {0: entry("Windows"), 5: entry("AZLA", "other"), 6: entry("AZL2B")}
BOTH = {**OTHERS, 1: entry("AZLA"), 2: entry("AZLB")}

# before, lasting, keep the order; after: order, what starts next, numbers of entries
ARMS = [
    ("first installation", state(OTHERS, (0, 5)), "AZLA", True, False, (1, 0, 5), 1, {0, 1, 5, 6}),
    ("first update", state({**OTHERS, 1: entry("AZLA")}, (1, 0)), "AZLB", False, False, (1, 0, 2), 2, {0, 1, 2, 5, 6}),
    ("later update", state(BOTH, (1, 2, 0)), "AZLB", False, False, (1, 0, 3), 3, {0, 1, 3, 5, 6}),
    ("stale order", state(BOTH, (3, 2, 1, 4)), "AZLB", False, False, (3, 1, 4, 7), 7, {0, 1, 5, 6, 7}),
    ("order is for the commit", state(BOTH, (1, 2, 0)), "AZLB", False, True, (1, 0), 3, {0, 1, 3, 5, 6}),
    ("empty firmware", state({}, ()), "AZLA", True, False, (0,), 0, {0}),
]


@pytest.mark.parametrize(("what", "now", "label", "lasting", "keep", "order", "following", "numbers"), ARMS)
def test_arming(
    what: str,
    now: BootVariables,
    label: str,
    lasting: bool,
    keep: bool,
    order: tuple[int, ...],
    following: int,
    numbers: set[int],
) -> None:
    changes = arm(now, label, loader_of(label, "x64"), [ESP], lasting=lasting, keep_order=keep)
    then = after(now, changes)
    assert (then.order, then.next, set(then.entries)) == (order, following, numbers), what
    assert then.entries[following] == entry(label)
    assert {number: then.entries[number] for number in OTHERS if number in now.entries} == {
        number: option for number, option in OTHERS.items() if number in now.entries
    }


def test_a_mirrored_esp_has_an_entry_for_each_partition() -> None:
    then = after(
        state(OTHERS, (0,)), arm(state(OTHERS, (0,)), "AZLB", "\\EFI\\AZLB\\bootx64.efi", [ESP, MIRROR], lasting=False)
    )
    assert (then.order, then.next) == ((0, 1, 2), 1)
    assert [then.entries[number].partition for number in (1, 2)] == [ESP, MIRROR]


def test_an_update_boots_the_old_system_until_the_last_write_that_decides() -> None:
    now = state(BOTH, (1, 2, 0), current=1)
    changes = arm(now, "AZLB", loader_of("AZLB", "x64"), [ESP], lasting=False)
    assert cuts(now, changes) == ["AZLA", "AZLA", "AZLA", "AZLB", "AZLB"]


NUMBERS = st.integers(0, 9)
LABELS = st.sampled_from(["AZLA", "AZLB", "AZL2A", "Windows", "PXE"])


@st.composite
def machines(draw: st.DrawFn) -> BootVariables:
    """Any firmware, stale numbers and entries that are there twice included."""
    entries = draw(st.dictionaries(NUMBERS, LABELS.map(entry), max_size=8))
    order = tuple(draw(st.lists(NUMBERS, max_size=8)))
    following, current = draw(st.none() | NUMBERS), draw(st.none() | NUMBERS)
    return state(entries, order, following, current)


@given(machines(), st.booleans(), st.booleans())
def test_any_cut_while_arming_boots_what_started_before_or_the_new_system(
    now: BootVariables, lasting: bool, keep: bool
) -> None:
    """Before the plan, AZLB does not start: `disarm` saw to that before it was written."""
    now = after(now, disarm(now, "AZLB"))
    changes = arm(now, "AZLB", loader_of("AZLB", "x64"), [ESP, MIRROR], lasting=lasting, keep_order=keep)
    assert set(cuts(now, changes)) <= {started(now), "AZLB"}
    then = after(now, changes)
    assert started(then) == "AZLB"
    usual = started(replace(now, next=None))
    later = started(replace(then, next=None))
    assert later == "AZLB" if lasting and not keep else later == usual or usual in (None, "AZLB")
    foreign = {number: option for number, option in now.entries.items() if option.description != "AZLB"}
    assert {number: then.entries[number] for number in foreign} == foreign
    assert [number for number in then.order if number in foreign] == list(
        dict.fromkeys(number for number in now.order if number in foreign)
    )
    assert all(number in then.entries for number in then.order if number not in now.order)


@given(machines())
def test_a_disarmed_slot_starts_only_where_nothing_else_can(now: BootVariables) -> None:
    changes = disarm(now, "AZLB")
    then = after(now, changes)
    if started(then) == "AZLB":
        assert not any(n in then.entries and then.entries[n].description != "AZLB" for n in then.order)
    assert then.entries == now.entries
    assert set(cuts(now, changes)) <= {started(now), started(then), started(replace(now, next=None))}
    assert disarm(then, "AZLB") == ()


def promoted(now: BootVariables, *, only_missing: bool = False) -> tuple[Change, ...]:
    return promote(now, "AZLA", loader_of("AZLA", "x64"), [ESP], only_missing=only_missing)


@given(machines())
def test_a_commit_puts_all_entries_of_the_slot_first_in_one_write(now: BootVariables) -> None:
    changes = promoted(now)
    then = after(now, changes)
    there = entries_of(now, "AZLA")
    ours = entries_of(then, "AZLA")
    assert len(changes) <= 1 if there else len(changes) == 2
    assert ours == there or (not there and len(ours) == 1)
    assert set(then.order[: len(ours)]) == set(ours)
    assert set(then.order) >= set(now.order)
    assert set(cuts(now, changes)) <= {started(now), started(then)}
    assert promoted(then) == ()


@given(machines())
def test_what_runs_gets_an_entry_only_where_the_order_names_none(now: BootVariables) -> None:
    changes = promoted(now, only_missing=True)
    named = set(entries_of(now, "AZLA")).intersection(now.order)
    assert changes == (() if named else promoted(now))
    then = after(now, changes)
    last = after(then, arm(then, "AZLB", loader_of("AZLB", "x64"), [ESP], lasting=False))
    assert started(replace(last, next=None)) not in (None, "AZLB") or "AZLB" in {
        now.entries[number].description for number in now.order if number in now.entries
    }


@given(machines())
def test_a_rollback_starts_the_entries_that_are_there(now: BootVariables) -> None:
    changes = arm_existing(now, "AZLA")
    if not entries_of(now, "AZLA"):
        assert changes == ()
        return
    then = after(now, changes)
    assert started(then) == started(replace(then, next=None)) == "AZLA"
    assert arm_existing(now, "AZLA", keep_order=True) == (changes[-1],)


def test_without_an_esp_or_a_free_number_there_is_no_entry() -> None:
    with pytest.raises(ServicingError, match="no partition holds the ESP"):
        arm(state({}, ()), "AZLA", "\\EFI\\AZLA\\bootx64.efi", [], lasting=True)
    full = BootVariables(taken=frozenset(range(0x10000)))
    with pytest.raises(ServicingError, match="no free number"):
        arm(full, "AZLA", "\\EFI\\AZLA\\bootx64.efi", [ESP], lasting=True)


def test_the_last_entry_in_the_order_leaves_no_empty_order() -> None:
    now = state({2: entry("AZLB")}, (2,))
    changes = arm(now, "AZLB", "\\EFI\\AZLB\\bootx64.efi", [ESP], lasting=False, keep_order=True)
    assert Delete(ORDER) in changes
    assert changes[-1] == Delete(variable_of(2))
