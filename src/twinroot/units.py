"""Sizes, alignment and GPT partition types: the vocabulary of everything that deals in disks. No I/O."""

from __future__ import annotations

from uuid import UUID

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_SUFFIXES = ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"))


def round_up(value: int, unit: int) -> int:
    """`value` raised to a multiple of `unit`."""
    return -(-value // unit) * unit


def round_down(value: int, unit: int) -> int:
    """`value` lowered to a multiple of `unit`."""
    return value // unit * unit


def exact(size: int) -> str:
    """A size in the largest unit that divides it, as configs are written about: `5 MiB`, `4097 bytes`."""
    for unit, suffix in _SUFFIXES:
        if size and size % unit == 0:
            return f"{size // unit} {suffix}"
    return f"{size} bytes"


def human(size: float) -> str:
    """A size for reading, three significant digits: `1.23 GiB`, `512 B`."""
    for unit, suffix in _SUFFIXES:
        if size >= unit:
            value = size / unit
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f} {suffix}"
    return f"{size:.0f} B"


# The largest disks of the formats that have a limit of their own (VHD 1.0 and VHDX specifications; qemu's too).
LARGEST_DISKS = {"vhd": 2040 * GIB, "vhdx": 64 * TIB}

# Partition types of the Discoverable Partitions Specification (uapi-group.org), by the names image configs use.
# The architecture-dependent names are resolved by `partition_type`.
PARTITION_TYPES: dict[str, UUID] = {
    "linux-generic": UUID("0fc63daf-8483-4772-8e79-3d69d8477de4"),
    "esp": UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
    "bios-grub": UUID("21686148-6449-6e6f-744e-656564454649"),
    "xbootldr": UUID("bc13c2ff-59e6-4262-a352-b275fd6f7172"),
    "home": UUID("933ac7e1-2eb4-4f13-b844-0e14e2aef915"),
    "srv": UUID("3b8f8425-20e0-4f3b-907f-1a25a76f98e8"),
    "swap": UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"),
    "tmp": UUID("7ec6f557-3bc5-4aca-b293-16ef5df639d1"),
    "var": UUID("4d21b016-b534-45c2-a9fb-5c16e091fd2d"),
}
_BY_ARCHITECTURE: dict[str, dict[str, UUID]] = {
    "x86_64": {
        "root": UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
        "root-verity": UUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"),
        "root-verity-sig": UUID("41092b05-9fc8-4523-994f-2def0408b176"),
        "usr": UUID("8484680c-9521-48c6-9c11-b0720656f69e"),
        "usr-verity": UUID("77ff5f63-e7b6-4633-acf4-1565b864c0e6"),
        "usr-verity-sig": UUID("e7bb33fb-06cf-4e81-8273-e543b413e2e2"),
    },
    "arm64": {
        "root": UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"),
        "root-verity": UUID("df3300ce-d69f-4c92-978c-9bfb0f38d820"),
        "root-verity-sig": UUID("6db69de6-29f4-4758-a7a5-962190f00ce3"),
        "usr": UUID("b0e01050-ee5f-4390-949a-9101b17104e9"),
        "usr-verity": UUID("6e11a4e7-fbca-4ded-b9e9-e1a512bb664e"),
        "usr-verity-sig": UUID("c23ce4ff-44bd-4b00-b2d4-b41b3419e02a"),
    },
}
ESP = PARTITION_TYPES["esp"]
BIOS_GRUB = PARTITION_TYPES["bios-grub"]
SWAP = PARTITION_TYPES["swap"]
LINUX_GENERIC = PARTITION_TYPES["linux-generic"]

# Spellings of a system architecture that a COSI file may carry (COSI spec 3.10), by their canonical name.
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "x64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}


def partition_type(name: str, architecture: str) -> UUID:
    """The type UUID for a partition type name on an architecture ("x86_64" or "arm64"); KeyError if unknown."""
    if name in PARTITION_TYPES:
        return PARTITION_TYPES[name]
    return _BY_ARCHITECTURE[architecture][name]


def partition_type_names(architecture: str) -> dict[str, UUID]:
    """Every known type name with its UUID for the architecture."""
    return PARTITION_TYPES | _BY_ARCHITECTURE[architecture]


def partition_type_name(type_uuid: UUID) -> str | None:
    """The name of a type UUID, with the architecture where it depends on it (`root-x86_64`); None if unknown."""
    for name, value in PARTITION_TYPES.items():
        if value == type_uuid:
            return name
    for architecture, names in _BY_ARCHITECTURE.items():
        for name, value in names.items():
            if value == type_uuid:
                return f"{name} ({architecture})"
    return None
