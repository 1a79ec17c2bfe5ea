"""Looking into an image of any kind: COSI files by their first bytes, everything else as a disk image."""

from __future__ import annotations

from pathlib import Path

from twinroot.base.image import probe
from twinroot.errors import InputError
from twinroot.events import Emit
from twinroot.output.inspect_cosi import inspect_cosi
from twinroot.output.inspect_disk import inspect_disk
from twinroot.output.inspection import Inspection
from twinroot.output.scratch import large_scratch

_COSI_START = b"cosi-marker"
# Files of revision 1.0 and 1.1 begin with their metadata (COSI spec 2).
_METADATA_START = b"metadata.json"


def is_cosi(path: Path) -> bool:
    """Whether a file is meant to be a COSI file, damaged or not: by its name, or by its first tar header."""
    if not path.exists():
        raise InputError("the image file does not exist", where=str(path))
    if not path.is_file():
        raise InputError("this is not a file", where=str(path), hint="name a COSI file or a disk image")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}", where=str(path)) from error
    if not start:
        raise InputError("the image file is empty (0 bytes)", where=str(path))
    name = start.removeprefix(b"./")
    return path.suffix == ".cosi" or name.startswith((_COSI_START, _METADATA_START))


def inspect_image(path: Path, emit: Emit) -> Inspection:
    """What is in an image; InputError or FormatError saying what is wrong with a file that is none."""
    if is_cosi(path):
        return inspect_cosi(path)
    image = probe(path)
    with large_scratch() as scratch:
        return inspect_disk(image, scratch, emit)
