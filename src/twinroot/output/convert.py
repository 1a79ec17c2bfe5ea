"""Converting an image: disk image or COSI file to disk image or COSI file (image behaviour spec §32).

    disk image ─▶ disk image   qemu-img alone, no copy in between
    disk image ─▶ COSI         `pack`
    COSI       ─▶ disk image   `unpack`, then the wanted format
    COSI       ─▶ COSI         `repack`

The source is never written, and the output appears only when it is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twinroot.base.image import DiskImage, check_disk, damaged, probe
from twinroot.errors import CommandError
from twinroot.events import Emit, phase
from twinroot.output.disk import check_disk_size, convert_raw, qemu_target
from twinroot.output.files import check_output, replacing
from twinroot.output.identity import kept_identity
from twinroot.output.inspect import is_cosi
from twinroot.output.pack import pack
from twinroot.output.repack import repack
from twinroot.output.space import naming_full_disk
from twinroot.output.unpack import unpack
from twinroot.tools import qemu_img


@dataclass(frozen=True)
class Conversion:
    """What is asked for. `format` is cosi or one of DISK_FORMATS; `level` is zstd's, for COSI."""

    source: Path
    target: Path
    format: str
    level: int


def convert(wanted: Conversion, scratch: Path, emit: Emit) -> None:
    """Carry out a conversion; `scratch` needs room for a whole disk. On a TwinrootError there is no output."""
    check_output(wanted.target, [wanted.source])
    from_cosi = is_cosi(wanted.source)
    with naming_full_disk(scratch, "scratch files"):
        if from_cosi and wanted.format == "cosi":
            with replacing(wanted.target) as partial:
                repack(wanted.source, partial, wanted.target.name, scratch, emit, level=wanted.level)
        elif from_cosi:
            _cosi_to_disk(wanted, scratch, emit)
        elif wanted.format == "cosi":
            with replacing(wanted.target) as partial:
                pack(probe(wanted.source), partial, wanted.target.name, scratch, emit, level=wanted.level)
        else:
            _disk_to_disk(wanted, probe(wanted.source), emit)


def _cosi_to_disk(wanted: Conversion, scratch: Path, emit: Emit) -> None:
    if wanted.format in ("raw", "vhd-fixed"):
        with replacing(wanted.target) as partial:
            metadata, _ = unpack(wanted.source, partial, scratch, emit)
            convert_raw(
                partial, partial, wanted.format, kept_identity(metadata.id, wanted.source), lambda _percent: None
            )
        return
    raw = scratch / "disk.raw"
    metadata, _ = unpack(wanted.source, raw, scratch, emit)
    with (
        replacing(wanted.target) as partial,
        phase(emit, "output", f"Writing {wanted.target.name}", total=100, unit="percent") as advance,
    ):
        convert_raw(
            raw,
            partial,
            wanted.format,
            kept_identity(metadata.id, wanted.source),
            lambda percent: advance(int(percent)),
        )


def _disk_to_disk(wanted: Conversion, image: DiskImage, emit: Emit) -> None:
    check_disk(image)
    check_disk_size(image.size, wanted.format)
    target_format, options = qemu_target(wanted.format)
    with (
        replacing(wanted.target) as partial,
        phase(emit, "output", f"Writing {wanted.target.name}", total=100, unit="percent") as advance,
    ):
        try:
            qemu_img.convert(
                image.path, partial, source_format=image.qemu_format, target_format=target_format, options=options,
                progress=lambda percent: advance(int(percent)),
            )  # fmt: skip
        except CommandError as error:
            if "No space left" in error.output:
                raise
            raise damaged(image.path, error) from error
        if target_format == "raw":
            convert_raw(partial, partial, wanted.format, kept_identity(None, image.path), lambda _percent: None)
