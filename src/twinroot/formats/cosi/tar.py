"""The outer archive: tar headers of a COSI file, written and walked 512 bytes at a time (COSI spec 2).

Written headers are plain ustar (POSIX.1-1988): mode 0400, owner 0, time 0, so that the same images give the same
bytes; a size beyond the 8 GiB of the octal field is stored in GNU's base-256 form. No extended header is ever
written, hence the file begins with the eleven bytes `cosi-marker` (T8).

Reading needs no seekable file, only a function that gives `size` bytes at an offset (fewer at the end): a local file
and ranged HTTP requests look the same. PAX (`x`, `g`) and GNU long name (`L`, `K`) headers of other writers are
understood. One leading `./` of a name is dropped (T5).
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from twinroot.errors import FormatError
from twinroot.units import KIB, round_up

BLOCK = 512
END = bytes(2 * BLOCK)
_OCTAL_LIMIT = 8**11
_MODE = 0o400
_SIZE_AT = slice(124, 136)
_CHECKSUM_AT = slice(148, 156)
# Extended headers hold names; what claims to be longer is damaged, or meant to be remembered for each member.
_MAX_EXTENDED = 64 * KIB
_MAX_NAME = 4 * KIB
# Several times as many as the partitions of any disk; a bound for what an archive can make us remember.
MAX_MEMBERS = 4096
_PAX_LOCAL, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"

CUT_OFF_HINT = "it was not copied or downloaded completely: get it again"

ReadAt = Callable[[int, int], bytes]


class CutOffError(FormatError):
    """A file that ends before the archive in it does."""


@dataclass(frozen=True)
class Member:
    """One member. `header` is where its first header block begins (extended ones included), `data` its contents.

    `extended` tells whether extended headers precede the plain one. `raw_name` is the name before a leading `./` was
    dropped. `end` is where the next header begins.
    """

    name: str
    raw_name: str
    type: bytes
    header: int
    data: int
    size: int
    extended: bool
    owner: str
    tidy_checksum: bool

    @property
    def regular(self) -> bool:
        """Whether it is an ordinary file."""
        return self.type in (b"0", b"\0", b"7")

    @property
    def end(self) -> int:
        """The offset behind the padded contents."""
        return self.data + round_up(self.size, BLOCK)


def header(name: str, size: int, owner: str = "") -> bytes:
    """The 512-byte header of a regular file; FormatError for a name that ustar cannot hold."""
    info = tarfile.TarInfo(name)
    info.size = size if size < _OCTAL_LIMIT else 0
    info.mode, info.uid, info.gid, info.mtime = _MODE, 0, 0, 0
    info.uname = owner
    try:
        block = bytearray(info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict"))
    except ValueError as error:
        raise FormatError(f"the member name '{name}' is too long for a tar header") from error
    if size >= _OCTAL_LIMIT:
        block[_SIZE_AT] = b"\x80" + size.to_bytes(11, "big")
        block[_CHECKSUM_AT] = b"%06o\0 " % _checksum(block)
    return bytes(block)


def walk(read_at: ReadAt) -> Iterator[Member]:
    """The members from offset 0 up to the end-of-archive marker.

    Raises FormatError for a damaged header, when the archive stops without its marker (CutOffError), and behind
    `MAX_MEMBERS`; the first of two zero blocks counts as the end.
    """
    offset = 0
    for _ in range(MAX_MEMBERS):
        member = _member(read_at, offset)
        if member is None:
            return
        yield member
        offset = member.end
    if _member(read_at, offset) is not None:
        raise FormatError(f"the archive has more than {MAX_MEMBERS} members")


def _member(read_at: ReadAt, start: int) -> Member | None:
    """The member whose headers begin at `start`; None at the end of the archive."""
    offset, name, size, extended = start, None, None, False
    while True:
        block = read_at(offset, BLOCK)
        if len(block) < BLOCK:
            raise CutOffError(f"the archive is cut off: it should go on at byte {offset}")
        if not any(block):
            if extended:
                raise FormatError(f"the archive ends after an extended header at byte {start}")
            return None
        kind, length = block[156:157], _size(block, offset)
        if kind not in (_PAX_LOCAL, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK):
            break
        extended = True
        content = _extended(read_at, offset + BLOCK, length)
        if kind == _LONG_NAME:
            name = _text(content)
        elif kind == _PAX_LOCAL:
            records = _pax(content, offset)
            name, size = records.get("path", name), _pax_size(records, offset, size)
        offset += BLOCK + round_up(length, BLOCK)
    raw_name = name if name is not None else _plain_name(block)
    if len(raw_name.encode()) > _MAX_NAME:
        raise FormatError(f"the tar header at byte {start} has a name of more than {_MAX_NAME} bytes")
    tidy = block[_CHECKSUM_AT] == b"%06o\0 " % _checksum(block)
    owner = _text(block[265:297])
    plain = raw_name.removeprefix("./")
    length = length if size is None else size
    return Member(plain, raw_name, kind, start, offset + BLOCK, length, extended, owner, tidy)


def _size(block: bytes, offset: int) -> int:
    """The size field, after the checksum was found right."""
    stored = _octal(block[_CHECKSUM_AT])
    if stored is None or stored != _checksum(block):
        raise FormatError(f"the tar header at byte {offset} is damaged, its checksum is wrong")
    field = block[_SIZE_AT]
    size = int.from_bytes(field[1:], "big") if field[0] == 0x80 else _octal(field)
    if size is None or size >= 2**62:
        raise FormatError(f"the tar header at byte {offset} has an impossible size")
    return size


def _octal(field: bytes) -> int | None:
    digits = field.strip(b"\0 ")
    if not digits.isdigit():
        return 0 if not digits else None
    try:
        return int(digits, 8)
    except ValueError:
        return None


def _checksum(block: bytes | bytearray) -> int:
    """The sum of all bytes, with spaces in place of the checksum itself."""
    return sum(block) - sum(block[_CHECKSUM_AT]) + 8 * 0x20


def _plain_name(block: bytes) -> str:
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _extended(read_at: ReadAt, offset: int, length: int) -> bytes:
    if length > _MAX_EXTENDED:
        said = f"is {length} bytes long, at most {_MAX_EXTENDED} are read"
        raise FormatError(f"the extended tar header at byte {offset - BLOCK} {said}")
    content = read_at(offset, length)
    if len(content) < length:
        raise CutOffError(f"the archive is cut off at byte {offset + len(content)}")
    return content


def _pax(content: bytes, offset: int) -> dict[str, str]:
    """Records `length key=value newline` (POSIX pax)."""
    records = {}
    while content:
        digits, space, _ = content.partition(b" ")
        if not space or not digits.isdigit() or len(digits) > 7 or not len(digits) < int(digits) <= len(content):
            raise FormatError(f"the extended tar header at byte {offset} is damaged")
        record, content = content[len(digits) + 1 : int(digits)], content[int(digits) :]
        key, equals, value = record.rstrip(b"\n").partition(b"=")
        if not equals:
            raise FormatError(f"the extended tar header at byte {offset} is damaged")
        records[_text(key)] = value.decode("utf-8", "replace")
    return records


def _pax_size(records: dict[str, str], offset: int, otherwise: int | None) -> int | None:
    text = records.get("size")
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise FormatError(f"the extended tar header at byte {offset} has an impossible size")
    return int(text)
