"""The last step: partition contents to the output file, in whichever format was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twinroot.events import Emit, phase
from twinroot.output.cosi import OsFacts, write_cosi_image
from twinroot.output.disk import DiskPart, convert_raw, write_raw
from twinroot.output.parts import PartitionContent
from twinroot.output.space import naming_full_disk
from twinroot.plan.disk import PlannedDisk
from twinroot.plan.identity import Identity


def write_output(
    path: Path,
    name: str,
    output_format: str,
    disk: PlannedDisk,
    contents: Sequence[PartitionContent],
    found: OsFacts,
    identity: Identity,
    *,
    scratch: Path,
    level: int,
    emit: Emit,
) -> None:
    """Write the file `path`, which people know as `name`."""
    if output_format == "cosi":
        write_cosi_image(path, name, disk, contents, found, identity, level=level, emit=emit)
        return
    parts = [DiskPart(content.partition.offset, content.source) for content in contents]
    direct = output_format in ("raw", "vhd-fixed")
    if not direct:
        _assemble(scratch / "disk.raw", disk, parts, emit)
    with naming_full_disk(path.parent, "output"):
        if direct:
            _assemble(path, disk, parts, emit)
        raw = path if direct else scratch / "disk.raw"
        with phase(emit, "output", f"Writing {name}", total=100, unit="percent") as advance:
            convert_raw(raw, path, output_format, identity, lambda percent: advance(int(percent)))


def _assemble(raw: Path, disk: PlannedDisk, parts: Sequence[DiskPart], emit: Emit) -> None:
    with phase(emit, "disk", "Putting the disk together") as advance:
        write_raw(raw, disk.table, parts, advance)
