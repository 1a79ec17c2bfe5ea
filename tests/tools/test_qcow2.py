"""qcow2 files that were cut off, wherever: qemu itself takes one without its tables for an empty disk."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from twinroot.base.image import check_disk, probe
from twinroot.errors import TwinrootError
from twinroot.formats.qcow2 import tables_end
from twinroot.units import KIB, MIB


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of 1.5 MiB of data at either end of a disk that needs several tables."""
    place = tmp_path_factory.mktemp("qcow2")
    raw, image = place / "disk.raw", place / "disk.qcow2"
    with raw.open("wb") as disk:
        disk.write(os.urandom(1536 * KIB))
        disk.truncate(3 << 30)
        disk.seek(-1536 * KIB, os.SEEK_END)
        disk.write(os.urandom(1536 * KIB))
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, image], check=True)
    return image


def test_impossible_cluster_size(whole: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.qcow2"
    data = bytearray(whole.read_bytes()[:512])
    data[20:24] = b"\xff" * 4
    odd.write_bytes(data)
    with odd.open("rb") as file, pytest.raises(TwinrootError, match="impossible cluster size"):
        tables_end(file)


def test_whole_image(whole: Path) -> None:
    check_disk(probe(whole))


@pytest.mark.parametrize("kept", [72, 64 * KIB, 200 * KIB, 256 * KIB, 300 * KIB, MIB, 2 * MIB, -4 * KIB])
def test_cut_image(whole: Path, kept: int, tmp_path: Path) -> None:
    cut = tmp_path / "cut.qcow2"
    data = whole.read_bytes()
    cut.write_bytes(data[:kept])
    with pytest.raises(TwinrootError, match="cut off"):
        check_disk(probe(cut))
