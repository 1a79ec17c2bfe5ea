"""Errors, units and events."""

from __future__ import annotations

import pytest

from twinroot.errors import CommandError, ConfigError, InputError, MissingToolError, Problem
from twinroot.events import PhaseAdvanced, PhaseFinished, PhaseStarted, phase
from twinroot.units import (
    ARCHITECTURES,
    GIB,
    KIB,
    MIB,
    TIB,
    exact,
    human,
    partition_type,
    partition_type_name,
    partition_type_names,
    round_down,
    round_up,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 bytes"),
        (4097, "4097 bytes"),
        (4 * KIB, "4 KiB"),
        (5 * MIB, "5 MiB"),
        (1536 * MIB, "1536 MiB"),
        (TIB, "1 TiB"),
    ],
)
def test_exact(size: int, text: str) -> None:
    assert exact(size) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1536, "1.50 KiB"),
        (15 * MIB, "15.0 MiB"),
        (150 * GIB, "150 GiB"),
        (2 * TIB, "2.00 TiB"),
    ],
)
def test_human(size: int, text: str) -> None:
    assert human(size) == text


def test_rounding() -> None:
    assert [round_up(value, 512) for value in (0, 1, 512, 513)] == [0, 512, 512, 1024]
    assert [round_down(value, 512) for value in (0, 511, 512, 1023)] == [0, 0, 512, 512]


def test_partition_types() -> None:
    for architecture in set(ARCHITECTURES.values()):
        names = partition_type_names(architecture)
        assert len(set(names.values())) == len(names)
        for name, value in names.items():
            assert partition_type(name, architecture) == value
            assert partition_type_name(value) in (name, f"{name} ({architecture})")
    assert partition_type("root", "x86_64") != partition_type("root", "arm64")
    with pytest.raises(KeyError):
        partition_type("nonsense", "x86_64")


def test_errors_say_where_and_what_to_do() -> None:
    error = InputError("it is wrong", where="/a b", hint="do this")
    assert str(error) == "/a b: it is wrong\n  hint: do this"
    assert str(InputError("it is wrong")) == "it is wrong"
    assert "apt-get install mtools" in str(MissingToolError("mcopy", "mtools"))


def test_command_errors_show_the_end_of_the_output() -> None:
    error = CommandError("x 'a b'", 1, "".join(f"line {n}\n" for n in range(100)))
    assert "x 'a b'" in str(error) and "line 99" in str(error) and "line 87\n" not in str(error)


def test_config_errors_are_in_the_order_of_their_places() -> None:
    problems = [Problem("f", 3, 1, "c", "third"), Problem("f", 1, 9, "b", "second"), Problem("f", 1, 2, "a", "first")]
    assert [p.message for p in ConfigError(problems).problems] == ["first", "second", "third"]
    assert str(Problem("f", 0, 0, "", "whole file")) == "f: whole file"


def test_a_phase_starts_advances_and_finishes() -> None:
    seen: list[object] = []
    with phase(seen.append, "n", "Title", total=4, unit="step") as advance:
        advance(2)
    assert seen[:2] == [PhaseStarted("n", "Title", 4, "step"), PhaseAdvanced("n", 2, 4)]
    assert isinstance(seen[2], PhaseFinished) and seen[2].name == "n"
