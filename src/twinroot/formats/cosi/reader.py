"""Opening a COSI file: its members, its metadata, and its images as checked streams.

`open_cosi` reads headers and the metadata only and accepts what the reference reader accepts (COSI spec 9), but for the
bounds that docs/reference/differences.md lists; for every rule of the format, see `check`. The heart, `CosiFile`, needs
no file: a function that gives `size` bytes at an offset is enough, so that a file on a web server is read in the same
way.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from twinroot.errors import FormatError
from twinroot.formats.cosi import metadata as documents
from twinroot.formats.cosi import tar
from twinroot.formats.cosi.model import Finding, ImageFile, Metadata
from twinroot.formats.cosi.writer import METADATA
from twinroot.formats.hash_behind import Sha384Behind
from twinroot.formats.zstd_reader import Piece, kept, process
from twinroot.units import MIB

# A document of ten thousand packages is about 1 MiB long.
MAX_METADATA = 16 * MIB
_STEP = MIB
# Beyond any file; damaged headers may point there, and the system call takes no such offset.
_FARTHEST = 2**62
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class CosiFile:
    """An opened COSI file. `name` is for messages; `members` by name, in their order in the archive.

    `metadata_sha384` is the hash of the whole `metadata.json` member, which Host Configurations name as
    `image.sha384`. `findings` are the warnings that reading the metadata gave.
    """

    read_at: tar.ReadAt
    name: str
    members: dict[str, tar.Member]
    metadata: Metadata
    metadata_sha384: str
    findings: tuple[Finding, ...]

    @property
    def length(self) -> int:
        """The bytes of the archive, its end included; more may follow in the file."""
        return max(member.end for member in self.members.values()) + len(tar.END)

    def member(self, image: ImageFile) -> tar.Member:
        """The member that holds an image; FormatError if there is none."""
        try:
            return self.members[image.path]
        except KeyError:
            raise FormatError(f"the archive has no member '{image.path}'", where=self.name) from None

    def open_image(self, image: ImageFile) -> Generator[bytes, None, None]:
        """The compressed bytes of an image, in steps of up to 1 MiB.

        Checks length and SHA-384 and raises FormatError after the last step if they are not those of the metadata:
        what came before is then not to be trusted.
        """
        member = self.member(image)
        with Sha384Behind() as digest:
            for offset in range(member.data, member.data + member.size, _STEP):
                wanted = min(_STEP, member.data + member.size - offset)
                data = self.read_at(offset, wanted)
                if len(data) < wanted:
                    message = f"the archive is cut off in '{image.path}'"
                    raise tar.CutOffError(message, where=self.name, hint=tar.CUT_OFF_HINT)
                digest.update(data)
                yield data
            if digest.hexdigest() != image.sha384:
                raise FormatError(f"the SHA-384 of '{image.path}' is not that of the metadata", where=self.name)

    def decompress(self, image: ImageFile, *, threads: int | None = None) -> Iterator[Piece]:
        """The contents of an image, zeros without data; see `zstd_reader.decompress`.

        Raises FormatError if the contents are damaged or of the wrong length, at the latest at the end. The check of
        the hash comes last, so use what was read only after the iteration ended without an error.
        """
        for pieces in self.process(image, kept, threads=threads):
            yield from pieces

    def process(
        self, image: ImageFile, work: Callable[[Iterator[Piece]], _Result], *, threads: int | None = None
    ) -> Generator[_Result, None, None]:
        """What `work` makes of the contents of an image, part by part, in several threads; see `zstd_reader.process`.

        Raises what `decompress` raises, and what `work` does. The check of the hash comes last here, too.
        """
        length, limit = image.uncompressed_size, self.metadata.max_window_log
        try:
            with closing(self.open_image(image)) as chunks:
                yield from process(chunks, work, length=length, max_window_log=limit, threads=threads)
        except FormatError as error:
            if error.where:
                raise
            raise FormatError(f"'{image.path}' {error.message}", where=self.name) from error

    def read(self, image: ImageFile, most: int = 16 * MIB) -> bytes:
        """The whole contents of a small image; FormatError if it is larger than `most` bytes."""
        if image.uncompressed_size > most:
            raise FormatError(f"'{image.path}' is larger than {most} bytes", where=self.name)
        pieces = self.decompress(image, threads=1)
        return b"".join(bytes(piece.length) if piece.data is None else bytes(piece.data) for piece in pieces)


@contextmanager
def open_cosi(path: Path) -> Iterator[CosiFile]:
    """Open a local COSI file. Raises FormatError (MetadataError for its metadata) and OSError as open(2) does."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield read_cosi(lambda offset, size: pread(fd, offset, size), str(path))
    finally:
        os.close(fd)


def read_cosi(read_at: tar.ReadAt, name: str, *, sha384: str | None = None) -> CosiFile:
    """Read headers and metadata through any function that reads at offsets. Raises FormatError, MetadataError.

    `sha384` is the hash that the metadata must have; nothing of them is looked at when it is another.
    """
    members: dict[str, tar.Member] = {}
    try:
        for member in tar.walk(read_at):
            if member.name in members:
                raise FormatError(f"two members are named '{member.name}'")
            members[member.name] = member
        if METADATA not in members:
            raise FormatError("COSI metadata not found")
        text = metadata_text(read_at, members[METADATA])
    except tar.CutOffError as error:
        raise tar.CutOffError(error.message, where=name, hint=tar.CUT_OFF_HINT) from error
    except FormatError as error:
        hint = "is it a COSI file, and was it transferred completely?"
        raise FormatError(error.message, where=name, hint=hint) from error
    digest = hashlib.sha384(text).hexdigest()
    if sha384 is not None and digest != sha384:
        message = f"the SHA-384 of the metadata is {digest}, not {sha384}"
        raise FormatError(message, where=name, hint="is this the image that was meant, and is it whole?")
    inspection = documents.inspect(text, strict=False)
    if inspection.metadata is None or not inspection.ok:
        raise documents.MetadataError(inspection.findings, where=name)
    return CosiFile(read_at, name, members, inspection.metadata, digest, inspection.findings)


def metadata_text(read_at: tar.ReadAt, member: tar.Member) -> bytes:
    """The bytes of the metadata member; FormatError if it is cut off or absurdly large."""
    if member.size > MAX_METADATA:
        raise FormatError(f"metadata.json is {member.size} bytes long, at most {MAX_METADATA} are read")
    text = read_at(member.data, member.size)
    if len(text) < member.size:
        raise tar.CutOffError("the archive is cut off in metadata.json")
    return text


def pread(fd: int, offset: int, size: int) -> bytes:
    """`size` bytes at `offset`, fewer only at the end of the file."""
    if offset >= _FARTHEST:
        return b""
    data = os.pread(fd, size, offset)
    while len(data) < size and (more := os.pread(fd, size - len(data), offset + len(data))):
        data += more
    return data
