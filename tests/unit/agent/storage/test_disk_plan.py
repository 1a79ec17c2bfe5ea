"""Planning partition tables: every plan fits, keeps what is adopted, and what cannot be done is refused before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.disk_plan import ALIGNMENT, LEAST_GROWN, DiskFacts, DiskPlan, Use, plan_disks
from twinroot.agent.storage.install_safety import check_clean_install
from twinroot.config.host.storage import Storage
from twinroot.errors import BusyError, TwinrootError
from twinroot.formats import gpt
from twinroot.units import GIB, LINUX_GENERIC, MIB, partition_type

SEED = UUID(int=5)
FOREIGN = UUID("2f1e0c3a-0000-4000-8000-000000000009")


def storage_of(*partitions: Mapping[str, Any], adopted: Sequence[Mapping[str, Any]] | None = None) -> Storage:
    disk = {"id": "os", "device": "/dev/vda", "partitionTableType": "gpt", "partitions": list(partitions)}
    return Storage.model_validate({"disks": [disk | ({"adoptedPartitions": adopted} if adopted else {})]})


def old_table(*places: tuple[int, int], size: int = GIB) -> gpt.Table:
    """A table with partitions at (start, length) in MiB, named p1, p2, …"""
    found = tuple(
        gpt.Partition(n, LINUX_GENERIC, UUID(int=100 + n), at * 2048, (at + length) * 2048 - 1, 4, f"p{n}")
        for n, (at, length) in enumerate(places, 1)
    )
    return gpt.Table(UUID(int=99), size, found, boot_code=b"boot")


def planned(storage: Storage, facts: DiskFacts) -> DiskPlan:
    return plan_disks(storage, {"os": facts}, architecture="x86_64", seed=SEED, foreign=frozenset((FOREIGN,)))[0]


def test_a_new_table() -> None:
    storage = storage_of(
        {"id": "esp", "type": "esp", "size": "64M"},
        {"id": "a", "type": "root", "size": "100M", "label": "first"},
        {"id": "rest", "size": "grow", "uuid": "2f1e0c3a-0000-4000-8000-000000000001"},
        {"id": "last", "size": "8K"},
    )
    plan = planned(storage, DiskFacts("/dev/vda", GIB))
    assert plan.new and plan.numbers == {"esp": 1, "a": 2, "rest": 3, "last": 4}
    shown = [(p.name, p.first_lba // 2048, p.sectors // 2048) for p in plan.table.partitions]
    assert shown == [("esp", 1, 64), ("first", 65, 100), ("rest", 165, 857), ("last", 1022, 0)]
    assert plan.table.partition(2).type_uuid == partition_type("root", "x86_64")
    assert str(plan.uuid_of("rest")) == "2f1e0c3a-0000-4000-8000-000000000001"
    assert planned(storage, DiskFacts("/dev/vda", GIB)) == plan


def test_adopted_partitions_stay_and_new_ones_fill_the_gaps() -> None:
    table = old_table((1, 10), (20, 30), (60, 40))
    storage = storage_of(
        {"id": "big", "size": "grow"},
        {"id": "small", "size": "8M"},
        adopted=[{"id": "kept", "matchLabel": "p2"}, {"id": "too", "matchUuid": str(UUID(int=103))}],
    )
    plan = planned(storage, DiskFacts("/dev/vda", 2 * GIB, table=table))
    assert not plan.new and plan.numbers == {"kept": 2, "too": 3, "big": 1, "small": 4}
    assert plan.table.partition(2) == table.partition(2) and plan.table.partition(3) == table.partition(3)
    assert (plan.table.disk_uuid, plan.table.boot_code, plan.table.disk_size) == (UUID(int=99), b"boot", 2 * GIB)
    assert [plan.table.partition(n).first_lba // 2048 for n in (4, 1)] == [1, 100]
    assert plan.table.size(plan.table.partition(1)) == (2048 - 101) * MIB


ONE: Mapping[str, Any] = {"id": "a", "size": "100M"}
REFUSED: dict[str, tuple[Storage, DiskFacts, str]] = {
    "too small": (storage_of({"id": "a", "size": "2G"}), DiskFacts("/dev/vda", GIB), r"needs 2 GiB.*only 1022 MiB"),
    "nothing to grow in": (
        storage_of({"id": "a", "size": "1015M"}, {"id": "b", "size": "grow"}), DiskFacts("/dev/vda", GIB), "needs 10",
    ),
    "tiny disk": (storage_of(ONE), DiskFacts("/dev/vda", 16384), "too small for a partition table"),
    "mounted": (storage_of(ONE), DiskFacts("/dev/vda", GIB, uses=(Use(1, "mounted at /"),)), "in use .mounted at /"),
    "whole disk used": (storage_of(ONE), DiskFacts("/dev/vda", GIB, uses=(Use(None, "held by dm-0"),)), "held by dm-0"),
    "read-only": (storage_of(ONE), DiskFacts("/dev/vda", GIB, read_only=True), "read-only"),
    "no table": (storage_of(ONE, adopted=[{"id": "b", "matchLabel": "x"}]), DiskFacts("/dev/vda", GIB), "has no GPT"),
    "no match": (
        storage_of(ONE, adopted=[{"id": "b", "matchLabel": "x"}]),
        DiskFacts("/dev/vda", GIB, table=old_table((1, 10))), "no partitions have the label 'x'",
    ),
    "one for two": (
        storage_of(ONE, adopted=[{"id": "b", "matchLabel": "p1"}, {"id": "c", "matchUuid": str(UUID(int=101))}]),
        DiskFacts("/dev/vda", GIB, table=old_table((1, 10))), "the same as another one",
    ),
    "deleted one mounted": (
        storage_of(ONE, adopted=[{"id": "b", "matchLabel": "p1"}]),
        DiskFacts("/dev/vda", GIB, table=old_table((1, 10), (20, 10)), uses=(Use(1, "mounted"), Use(2, "swap"))),
        "partition 2 of /dev/vda is in use",
    ),
    "label": (storage_of({"id": "a", "size": "1M", "label": "x" * 37}), DiskFacts("/dev/vda", GIB), "than the 36 ch"),
    "uuid of another disk": (
        storage_of({"id": "a", "size": "1M", "uuid": str(FOREIGN)}), DiskFacts("/dev/vda", GIB), "would have the UUID",
    ),
    "too many": (
        storage_of(*({"id": f"p{n}", "size": "4K"} for n in range(129))), DiskFacts("/dev/vda", GIB), "at most 128",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused(name: str) -> None:
    storage, facts, said = REFUSED[name]
    with pytest.raises((ServicingError, BusyError), match=said):
        planned(storage, facts)


def test_two_disks_that_are_one() -> None:
    disks: list[dict[str, Any]] = [
        {"id": n, "device": f"/dev/{n}", "partitionTableType": "gpt", "partitions": []} for n in ("a", "b")
    ]
    storage = Storage.model_validate({"disks": disks})
    facts = {name: DiskFacts("/dev/vda", GIB) for name in ("a", "b")}
    with pytest.raises(ServicingError, match="a and b are the same device"):
        plan_disks(storage, facts, architecture="x86_64", seed=SEED)


SIZES = st.lists(st.one_of(st.just("grow"), st.integers(1, 60_000).map(lambda n: str(4096 * n))), max_size=12)
KEPT = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 200), st.booleans()), max_size=6)


@settings(max_examples=300, deadline=None)
@given(SIZES, KEPT, st.integers(64, 4096), st.sampled_from([512, 4096]))
def test_every_plan_is_a_table_that_keeps_all_promises(
    sizes: list[str], old: list[tuple[int, int, bool]], disk: int, sector: int
) -> None:
    places, at = [], 1
    for hole, length, _kept in old:
        places.append((at + hole, length))
        at += hole + length
    table = replace(old_table(*places, size=(at + 1) * MIB)) if places else None
    sector = 512 if table else sector
    size = max(disk, at + 1) * MIB
    adopted = [{"id": f"k{n}", "matchLabel": f"p{n}"} for n, (_h, _l, kept) in enumerate(old, 1) if kept]
    storage = storage_of(*({"id": f"n{n}", "size": each} for n, each in enumerate(sizes)), adopted=adopted)
    try:
        plan = planned(storage, DiskFacts("/dev/vda", size, sector, table=table))
    except ServicingError as error:
        assert "left in one piece" in error.message
        return
    # Table itself refuses overlaps and what lies beyond the end; the writer what lies in the table's own place.
    assert gpt.primary_bytes(plan.table) and gpt.backup_bytes(plan.table)
    assert set(plan.numbers) == {f"n{n}" for n in range(len(sizes))} | {each["id"] for each in adopted}
    grown = set()
    for number, wanted in enumerate(sizes):
        partition = plan.table.partition(plan.numbers[f"n{number}"])
        assert plan.table.offset(partition) % ALIGNMENT == 0
        if wanted == "grow":
            assert plan.table.size(partition) >= LEAST_GROWN
            grown.add(plan.table.size(partition))
        else:
            assert plan.table.size(partition) == int(wanted)
    assert adopted or len(grown) <= 1
    for each in adopted:
        assert table
        assert plan.table.partition(plan.numbers[each["id"]]) == table.partition(int(each["id"][1:]))


SAFETY: list[tuple[str, bool, bool, bool, str | None]] = [
    ("quiet", False, False, False, None),
    ("root=/dev/ram0", False, False, False, None),
    ("root=live:LABEL=CDROM", False, False, False, None),
    ("root=UUID=1 ro", False, True, True, "clean-install-on-provisioned-host"),
    ("root=UUID=1 ro", True, False, False, "clean-install-safety-check"),
    ("root=UUID=1 ro", True, True, False, None),
    ("root=UUID=1 ro", True, False, True, None),
    ("quiet", True, False, False, "multiboot-without-adopted-partitions"),
    ("root=live:x root=/dev/sda1", False, False, False, "clean-install-on-provisioned-host"),
]


@pytest.mark.parametrize(("line", "multiboot", "adopts", "override", "error"), SAFETY)
def test_installing_over_a_machine_that_is_in_use(
    line: str, multiboot: bool, adopts: bool, override: bool, error: str | None
) -> None:
    check: Callable[[], None] = lambda: check_clean_install(  # noqa: E731
        line, multiboot=multiboot, adopts=adopts, override=override
    )
    if error is None:
        check()
        return
    with pytest.raises(TwinrootError) as raised:
        check()
    assert isinstance(raised.value, ServicingError) and raised.value.name == error
