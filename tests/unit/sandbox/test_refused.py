"""The filter of system calls, carried out by a small interpreter of its instructions (linux/filter.h)."""

from __future__ import annotations

import errno
import struct

import pytest

from twinroot.sandbox.refused import NEWCGROUP, NEWUSER, call_filter

X86_64, I386, ARM64, ARM, RISCV64 = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028, 0xC00000F3
ALLOWED, REFUSED, MISSING = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
NEWNS = 0x20000
UNIX, VSOCK = 1, 40


def answer(code: bytes, architecture: int, number: int, argument: int = 0) -> int:
    """What the filter says of a call."""
    data = struct.pack("=IIQQ", number, architecture, 0, argument)
    program = list(struct.iter_unpack("=HBBI", code))
    at, held = 0, 0
    while True:
        kind, so, not_so, value = program[at]
        at += 1
        match kind:
            case 0x20:
                held = struct.unpack_from("=I", data, value)[0]
            case 0x54:
                held &= value
            case 0x15:
                at += so if held == value else not_so
            case 0x45:
                at += so if held & value else not_so
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(hex(kind))


@pytest.mark.parametrize(
    ("architecture", "keys", "clone", "unshare", "socket"),
    [
        (X86_64, (248, 249, 250), 56, 272, 41),
        (I386, (286, 287, 288), 120, 310, 359),
        (ARM64, (217, 218, 219), 220, 97, 198),
        (ARM, (309, 310, 311), 120, 337, 281),
    ],
)
def test_what_is_refused(architecture: int, keys: tuple[int, ...], clone: int, unshare: int, socket: int) -> None:
    for may_mount, network in ((False, False), (False, True), (True, False), (True, True)):
        code = call_filter(may_mount=may_mount, network=network)
        assert answer(code, architecture, socket, VSOCK) == (ALLOWED if network else REFUSED)
        assert answer(code, architecture, socket, UNIX) == ALLOWED
        assert {answer(code, architecture, number) for number in keys} == {REFUSED}
        assert answer(code, architecture, 435) == MISSING
        assert answer(code, architecture, 0) == ALLOWED
        for number in (clone, unshare):
            assert answer(code, architecture, number, NEWNS | 17) == ALLOWED
            assert answer(code, architecture, number, NEWCGROUP) == REFUSED
            assert answer(code, architecture, number, NEWUSER | NEWNS) == (ALLOWED if may_mount else REFUSED)


def test_sockets_of_old_programs() -> None:
    """Which call they make of it is in memory, where a filter cannot look."""
    answers = [answer(call_filter(may_mount=False, network=network), I386, 102, 1) for network in (False, True)]
    assert answers == [MISSING, ALLOWED]


def test_x32_is_x86_64_by_another_name() -> None:
    assert answer(call_filter(may_mount=True, network=True), X86_64, 0x40000000 | 250) == REFUSED


def test_other_architectures_are_let_through() -> None:
    assert answer(call_filter(may_mount=False, network=False), RISCV64, 219) == ALLOWED
