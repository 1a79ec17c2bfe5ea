"""The architecture of an image, from the header of one of its programs."""

from __future__ import annotations

import platform

from twinroot.base.facts import BaseFacts
from twinroot.errors import InputError
from twinroot.units import ARCHITECTURES

# ELF e_machine (elf.h).
_MACHINES = {62: "x86_64", 183: "arm64"}
_PROGRAMS = ("/usr/bin/bash", "/bin/bash", "/bin/sh", "/usr/bin/env")


def program_architecture(facts: BaseFacts) -> str | None:
    """ "x86_64", "arm64" or "ELF machine N", as the image's programs say; None when it has none that we know."""
    for path in _PROGRAMS:
        header = facts.read(path)
        if header and header[:4] == b"\x7fELF":
            machine = int.from_bytes(header[18:20], "little")
            return _MACHINES.get(machine, f"ELF machine {machine}")
    return None


def image_architecture(facts: BaseFacts) -> str:
    """ "x86_64" or "arm64"; InputError when it is another one, unknown, or not the build host's own."""
    found = program_architecture(facts)
    if found is None:
        raise InputError("the architecture of the base image cannot be told: it has neither bash, sh nor env")
    host = ARCHITECTURES.get(platform.machine(), platform.machine())
    if found != host:
        raise InputError(
            f"the base image is for {found}, this host is {host}",
            hint="build on a host of the image's architecture",
        )
    return host
