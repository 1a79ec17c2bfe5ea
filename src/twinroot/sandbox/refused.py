"""What the kernel is to refuse to programs of an image, beyond what missing capabilities already do: system calls.

They are refused where namespaces and users do not separate the image's root from the host's. Keys belong to users, and
root of the image is the user 0 of the host. Cgroups can be mounted by whoever owns a cgroup namespace, and their files
written by the user 0. A program that may not mount shall not find the way around by namespaces in which it may. And
sockets to the hypervisor (vsock(7)) know no network namespaces.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

NEWCGROUP, NEWUSER = 0x02000000, 0x10000000  # linux/sched.h

_LOAD, _AND, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x06  # linux/bpf_common.h
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # where struct seccomp_data has them; linux/seccomp.h
_AF_VSOCK = 40  # linux/socket.h
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


@dataclass(frozen=True)
class _Calls:
    """The numbers that an architecture gives to system calls."""

    architecture: int  # linux/audit.h
    keys: tuple[int, int, int]  # add_key, request_key, keyctl
    clone: int
    unshare: int
    socket: int
    socketcall: int | None = None
    clone3: int = 435


_ARCHITECTURES = (
    _Calls(0xC000003E, (248, 249, 250), clone=56, unshare=272, socket=41),  # x86-64
    _Calls(0x40000003, (286, 287, 288), clone=120, unshare=310, socket=359, socketcall=102),  # i386
    _Calls(0xC00000B7, (217, 218, 219), clone=220, unshare=97, socket=198),  # arm64
    _Calls(0x40000028, (309, 310, 311), clone=120, unshare=337, socket=281),  # arm
)


def call_filter(*, may_mount: bool, network: bool) -> bytes:
    """A program for seccomp(2), as an array of struct sock_filter (linux/filter.h).

    It refuses keys, new cgroup namespaces, new user namespaces to programs that may not mount, and sockets to the
    hypervisor to those that have no network. clone3, whose flags cannot be looked at, is said to be missing: every C
    library does without. So is, without a network, the one call that i386 once had for all sockets. Architectures that
    are not known are let through: a kernel runs programs of two, and those above are all there are where images are
    built.
    """
    flags = NEWCGROUP | (0 if may_mount else NEWUSER)
    code = [(_LOAD, 0, 0, _ARCHITECTURE)]
    for calls in _ARCHITECTURES:
        block = _block(calls, flags, network=network)
        code += [(_EQUAL, 0, len(block), calls.architecture), *block]
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _block(calls: _Calls, flags: int, *, network: bool) -> list[tuple[int, int, int, int]]:
    """Instructions for one architecture, of (code, how many to skip if so, how many if not, value)."""
    ends = [
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 2, 4, flags),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 2, _AF_VSOCK),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        (_RETURN, 0, 0, _ALLOW),
    ]
    flagged, family, refused, missing = 1, 3, 5, 6
    targets = [(number, refused) for number in calls.keys]
    targets += [(calls.clone, flagged), (calls.unshare, flagged), (calls.clone3, missing)]
    if not network:
        targets += [(calls.socket, family)]
        targets += [(calls.socketcall, missing)] if calls.socketcall else []
    # x32 is x86-64 with a bit set in the numbers.
    block = [(_LOAD, 0, 0, _NUMBER), (_AND, 0, 0, 0xBFFFFFFF)]
    for index, (number, target) in enumerate(targets):
        block.append((_EQUAL, len(targets) - index - 1 + target, 0, number))
    return block + ends
