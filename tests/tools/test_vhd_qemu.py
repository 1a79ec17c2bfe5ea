"""Our VHD footer against qemu-img, in both directions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from twinroot.formats import vhd
from twinroot.tools.run import run
from twinroot.units import MIB

SIZE = 5 * MIB


def raw_disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(range(256)) * (SIZE // 256))
    return path


def test_qemu_reads_ours(tmp_path: Path) -> None:
    raw = raw_disk(tmp_path)
    ours = tmp_path / "ours.vhd"
    footer = vhd.fixed_footer(SIZE, uuid=UUID(int=77), timestamp=datetime(2026, 1, 1, tzinfo=UTC))
    ours.write_bytes(raw.read_bytes() + footer)
    info = json.loads(run(["qemu-img", "info", "-f", "vpc", "--output=json", ours]).stdout)
    assert (info["format"], info["virtual-size"]) == ("vpc", SIZE)
    back = tmp_path / "back.raw"
    run(["qemu-img", "convert", "-f", "vpc", "-O", "raw", ours, back])
    assert back.read_bytes() == raw.read_bytes()


@pytest.mark.parametrize(
    ("options", "kind", "by_geometry"),
    [
        ("subformat=fixed,force_size=on", vhd.Kind.FIXED, False),
        ("subformat=fixed", vhd.Kind.FIXED, True),
        ("subformat=dynamic,force_size=on", vhd.Kind.DYNAMIC, False),
    ],
)
def test_we_read_theirs(tmp_path: Path, options: str, kind: vhd.Kind, by_geometry: bool) -> None:
    theirs = tmp_path / "theirs.vhd"
    run(["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", options, raw_disk(tmp_path), theirs])
    footer = vhd.read_footer(theirs.read_bytes()[-512:])
    assert footer is not None
    assert (footer.kind, footer.sized_by_geometry) == (kind, by_geometry)
    if by_geometry:
        assert footer.geometry_size >= SIZE
        assert footer.geometry == vhd.geometry(footer.geometry_size)
    else:
        assert footer.size == SIZE
