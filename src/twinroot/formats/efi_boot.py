"""Boot variables of UEFI firmware: EFI_LOAD_OPTION, device paths, lists of numbers and texts. Pure.

Layout of Boot#### (UEFI specification 2.10, section 3.1.3), little endian:

    u32 attributes | u16 length of the path list | description, UTF-16 with a NUL | path list | optional data

The path list is one device path or more, each a row of nodes `u8 type, u8 subtype, u16 length of all of the node, data`
that ends in a node of type 0x7F, subtype 0xFF (section 10.3). BootOrder is a row of u16, BootNext and
BootCurrent are one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from twinroot.errors import FormatError

ACTIVE = 1
"""Attribute of a load option: the firmware may start it by itself (LOAD_OPTION_ACTIVE)."""

_HEAD = struct.Struct("<IH")
_NODE = struct.Struct("<BBH")
_HARD_DRIVE = struct.Struct("<IQQ16sBB")
_MEDIA, _HARD_DRIVE_SUBTYPE, _FILE_SUBTYPE = 4, 1, 4
_END, _END_ALL = 0x7F, 0xFF
_GPT, _SIGNATURE_IS_GUID = 2, 2
_MAX_U16 = 0xFFFF


@dataclass(frozen=True)
class Node:
    """One node of a device path; `data` is what follows the four bytes of its head."""

    type: int
    subtype: int
    data: bytes


@dataclass(frozen=True)
class HardDrive:
    """A GPT partition as a boot entry names it: its number from 1, first sector and length in sectors of the disk."""

    number: int
    first_lba: int
    sectors: int
    uuid: UUID


@dataclass(frozen=True)
class LoadOption:
    """What Boot#### holds. `paths` is the path list as it stands there, and `optional` what the loader is given."""

    attributes: int
    description: str
    paths: bytes
    optional: bytes = b""

    @property
    def loader(self) -> str | None:
        """The path of the program on its partition, with backslashes; None where the entry starts no file."""
        kind = (_MEDIA, _FILE_SUBTYPE)
        names = [read_text(node.data) for node in read_path(self.paths) if (node.type, node.subtype) == kind]
        return "\\".join(names).replace("\\\\", "\\") if names else None

    @property
    def partition(self) -> HardDrive | None:
        """The GPT partition that the program lies on; None where the entry names none."""
        return next(filter(None, map(_hard_drive, read_path(self.paths))), None)


def new_option(description: str, partition: HardDrive, loader: str) -> LoadOption:
    """An active entry that starts a file of a partition; `loader` has backslashes and begins with one."""
    nodes = (
        Node(_MEDIA, _HARD_DRIVE_SUBTYPE, _HARD_DRIVE.pack(*_hard_drive_fields(partition))),
        Node(_MEDIA, _FILE_SUBTYPE, write_text(loader)),
    )
    return LoadOption(ACTIVE, description, write_path(nodes))


def read_option(data: bytes) -> LoadOption:
    """The content of a Boot#### variable; FormatError where it is none."""
    if len(data) < _HEAD.size:
        raise FormatError(f"a boot entry has {len(data)} bytes, fewer than its head")
    attributes, length = _HEAD.unpack_from(data)
    text, end = _text_at(data, _HEAD.size)
    if end + length > len(data):
        raise FormatError(f"a boot entry says that its path has {length} bytes, but {len(data) - end} are left")
    option = LoadOption(attributes, text, data[end : end + length], data[end + length :])
    read_path(option.paths)
    return option


def write_option(option: LoadOption) -> bytes:
    """The content of a Boot#### variable."""
    if len(option.paths) > _MAX_U16:
        raise FormatError(f"the path of a boot entry has {len(option.paths)} bytes, more than {_MAX_U16}")
    head = _HEAD.pack(option.attributes, len(option.paths))
    return head + write_text(option.description) + option.paths + option.optional


def read_path(data: bytes) -> tuple[Node, ...]:
    """The nodes of the first device path of a list, without its end; FormatError where there is no end."""
    nodes: list[Node] = []
    place = 0
    while place + _NODE.size <= len(data):
        kind, subtype, length = _NODE.unpack_from(data, place)
        if length < _NODE.size or place + length > len(data):
            break
        if (kind, subtype) == (_END, _END_ALL):
            return tuple(nodes)
        nodes.append(Node(kind, subtype, data[place + _NODE.size : place + length]))
        place += length
    raise FormatError("the device path of a boot entry does not end")


def write_path(nodes: Iterable[Node]) -> bytes:
    """A device path with its end; FormatError for a node that is too long for its length field."""
    found = b""
    for node in (*nodes, Node(_END, _END_ALL, b"")):
        length = _NODE.size + len(node.data)
        if length > _MAX_U16:
            raise FormatError(f"a node of a device path has {length} bytes, more than {_MAX_U16}")
        found += _NODE.pack(node.type, node.subtype, length) + node.data
    return found


def read_numbers(data: bytes) -> tuple[int, ...]:
    """The numbers of BootOrder, BootNext or BootCurrent."""
    if len(data) % 2:
        raise FormatError(f"a list of boot entries has {len(data)} bytes, which is not a multiple of two")
    return struct.unpack(f"<{len(data) // 2}H", data)


def write_numbers(numbers: Iterable[int]) -> bytes:
    """The content of BootOrder or BootNext."""
    return b"".join(struct.pack("<H", number) for number in numbers)


def read_text(data: bytes) -> str:
    """A text of UTF-16 up to its NUL, or to the end of the data where there is none, as some write it."""
    return data[: _text_end(data, 0)].decode("utf-16-le", "surrogatepass")


def write_text(text: str) -> bytes:
    """A text as UTF-16 with a NUL at its end; FormatError for text that holds one."""
    if "\0" in text:
        raise FormatError("a text for the firmware may not contain a NUL")
    return text.encode("utf-16-le", "surrogatepass") + b"\0\0"


def _text_at(data: bytes, start: int) -> tuple[str, int]:
    """A text and where what follows it begins."""
    end = _text_end(data, start)
    if data[end : end + 2] != b"\0\0":
        raise FormatError("the name of a boot entry does not end")
    return data[start:end].decode("utf-16-le", "surrogatepass"), end + 2


def _text_end(data: bytes, start: int) -> int:
    """Where the NUL is; without one, where the last whole character ends."""
    last = start + (len(data) - start) // 2 * 2
    return next((place for place in range(start, last, 2) if data[place : place + 2] == b"\0\0"), last)


def _hard_drive_fields(partition: HardDrive) -> tuple[int, int, int, bytes, int, int]:
    uuid = partition.uuid.bytes_le
    return partition.number, partition.first_lba, partition.sectors, uuid, _GPT, _SIGNATURE_IS_GUID


def _hard_drive(node: Node) -> HardDrive | None:
    if (node.type, node.subtype) != (_MEDIA, _HARD_DRIVE_SUBTYPE) or len(node.data) != _HARD_DRIVE.size:
        return None
    number, first, sectors, uuid, table, signature = _HARD_DRIVE.unpack(node.data)
    if (table, signature) != (_GPT, _SIGNATURE_IS_GUID):
        return None
    return HardDrive(number, first, sectors, UUID(bytes_le=uuid))
