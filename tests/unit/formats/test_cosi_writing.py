"""Writing COSI files: what cannot become one, and that nothing is left behind on failure."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.unit.agent.small_cosi import write_cosi as write_small
from tests.unit.formats.cosi_samples import IMAGE_ID, changed, plan

from twinroot.errors import FormatError, HostError
from twinroot.formats import gpt
from twinroot.formats.cosi.check import verify_cosi
from twinroot.formats.cosi.reader import open_cosi
from twinroot.formats.cosi.writer import PartitionImage, write_cosi
from twinroot.formats.source import BytesRegion, FileRegion
from twinroot.units import GIB, KIB, MIB


def bad_plans() -> list[tuple[str, dict[str, object], str]]:
    good = plan()
    first, *others = good.partitions
    oversized = PartitionImage(first.number, BytesRegion(bytes(65537)))
    esp, root = good.filesystems
    return [
        ("partition missing", {"partitions": tuple(others)}, "not the same"),
        ("partition too many", {"partitions": (*good.partitions, PartitionImage(9, BytesRegion(b"")))}, "not the same"),
        ("image too large", {"partitions": (oversized, *others)}, "larger than the partition"),
        ("no table", {"gpt": bytes(17408)}, "does not contain a GPT"),
        ("table too long", {"gpt": good.gpt + bytes(512)}, "must end with its entry array"),
        ("wrong sectors", {"lba_size": 4096}, "must end with its entry array"),
        ("no such partition", {"filesystems": (dataclasses.replace(esp, partition=8), root)}, "does not exist"),
        ("same mount point", {"filesystems": (esp, dataclasses.replace(root, mount_point="/boot/efi"))}, "mounted at"),
        ("unknown architecture", {"os_arch": "mips"}, "unknown architecture"),
        ("name too long", {"base": "x" * 300}, "too long"),
    ]


@pytest.mark.parametrize(("fields", "message"), [case[1:] for case in bad_plans()], ids=[c[0] for c in bad_plans()])
def test_plans_that_cannot_become_a_file(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        write_cosi(tmp_path / "out.cosi", changed(**fields))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_after_an_interruption(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "out.cosi"
    path.write_bytes(b"the old one")

    def progress(done: int) -> None:
        if done > 17408:
            raise error

    with pytest.raises(error):
        write_cosi(path, plan(), progress=progress)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.cosi"]
    assert path.read_bytes() == b"the old one"


def test_nothing_is_left_when_a_signal_comes_just_as_the_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkstemp

    def interrupted(*words: Any, **named: Any) -> tuple[int, str]:
        made = make(*words, **named)
        signal.raise_signal(signal.SIGINT)
        return made

    monkeypatch.setattr(tempfile, "mkstemp", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_cosi(tmp_path / "small.cosi", plan())
    assert list(tmp_path.iterdir()) == []


def test_unwritable_places(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot write"):
        write_cosi(tmp_path / "missing" / "out.cosi", plan())
    (tmp_path / "directory").mkdir()
    with pytest.raises(HostError, match="cannot write"):
        write_cosi(tmp_path / "directory", plan())
    assert [entry.name for entry in tmp_path.iterdir()] == ["directory"]
    part = PartitionImage(1, FileRegion(tmp_path / "gone", 0, 10))
    with pytest.raises(HostError, match="gone"):
        write_cosi(tmp_path / "out.cosi", changed(partitions=(part, *plan().partitions[1:])))


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_cosi(tmp_path / "out.cosi", plan())
    finally:
        os.umask(before)
    assert (tmp_path / "out.cosi").stat().st_mode & 0o777 == 0o640


def test_large_sparse_disk(tmp_path: Path) -> None:
    """40 GiB of holes with a little data: read, hashed and checked without touching the holes."""
    size = 40 * GIB
    image = tmp_path / "root.raw"
    with image.open("wb") as file:
        file.write(b"superblock")
        file.truncate(size)
        file.seek(30 * GIB)
        file.write(os.urandom(MIB))
    source = FileRegion(image, 0, size)
    esp, root = gpt.read_table(io.BytesIO(plan().gpt), MIB).partitions[:2]
    root = dataclasses.replace(root, first_lba=4096, last_lba=4096 + size // 512 - 1)
    table = gpt.Table(IMAGE_ID, 42 * GIB, (esp, root))
    parts = (plan().partitions[0], PartitionImage(2, source))
    filesystems = (plan().filesystems[0], dataclasses.replace(plan().filesystems[1], verity=None))
    big = changed(disk_size=table.disk_size, gpt=gpt.primary_bytes(table), partitions=parts, filesystems=filesystems)
    seen: list[int] = []
    path = tmp_path / "big.cosi"
    write_cosi(path, big, level=9, progress=seen.append)
    assert seen[-1] == big.total
    assert path.stat().st_size < 5 * MIB
    assert verify_cosi(path).findings == ()


def test_contents_that_are_read_stay_as_they_are(tmp_path: Path) -> None:
    """An image of many frames: what was read of the first ones is not that of later ones."""
    data = b"".join(bytes([number]) * (256 * KIB) + bytes(64 * KIB) for number in range(1, 101))
    with open_cosi(write_small(tmp_path / "os.cosi", data)) as cosi:
        pieces = list(cosi.decompress(cosi.metadata.images[0].image, threads=2))
    assert len(pieces) > 100
    assert b"".join(piece.data or bytes(piece.length) for piece in pieces) == data
