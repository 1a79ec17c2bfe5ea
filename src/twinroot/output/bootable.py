"""A disk that a virtual machine can start from, whatever kind of image it is."""

from __future__ import annotations

from pathlib import Path

from twinroot.base.image import DiskImage, check_disk, probe
from twinroot.events import Emit
from twinroot.output.inspect import is_cosi
from twinroot.output.unpack import unpack


def bootable_disk(image: Path, scratch: Path, emit: Emit) -> DiskImage:
    """A disk image as it is; a COSI file as a sparse raw disk in `scratch`. InputError or FormatError as they read."""
    if not is_cosi(image):
        found = probe(image)
        check_disk(found)
        return found
    raw = scratch / "disk.raw"
    _metadata, table = unpack(image, raw, scratch, emit)
    return DiskImage(raw, "raw", table.disk_size)
