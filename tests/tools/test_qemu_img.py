"""qemu-img on real small images with the names that people give them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twinroot.base.image import probe
from twinroot.errors import InputError
from twinroot.tools import qemu_img
from twinroot.tools.run import run
from twinroot.units import MIB


@pytest.mark.parametrize(
    "name", ["plain.img", "two words.img", "a,b=c.img", "image:v1.img", "-x.img", "q?.img", "ü.img"]
)
@pytest.mark.parametrize(("image_format", "shown"), [("qcow2", "qcow2"), ("vpc", "vhd"), ("vhdx", "vhdx")])
def test_round_trip_with_odd_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, image_format: str, shown: str
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = Path("raw disk.img")
    raw.write_bytes(b"begin" + bytes(4 * MIB - 8) + b"end")
    image = Path(name)
    options = "force_size=on" if image_format == "vpc" else None
    seen: list[float] = []
    qemu_img.convert(raw, image, source_format="raw", target_format=image_format, options=options, progress=seen.append)
    assert seen and seen[-1] == 100 and sorted(seen) == seen
    assert qemu_img.info(image).format == image_format
    found = probe(image)
    assert (found.format, found.size, found.qemu_format) == (shown, 4 * MIB, image_format)
    qemu_img.convert(image, Path("back.img"), source_format=image_format, target_format="raw")
    assert Path("back.img").read_bytes() == raw.read_bytes()


@pytest.mark.parametrize("image_format", ["vpc", "vhdx"])
@pytest.mark.parametrize("length", [100, 70_000, 200_000, 3_500_000])
def test_a_file_that_is_cut_off(tmp_path: Path, image_format: str, length: int) -> None:
    raw = tmp_path / "raw.img"
    raw.write_bytes(b"x" * 6 * MIB)
    image = tmp_path / "cut"
    qemu_img.convert(raw, image, source_format="raw", target_format=image_format)
    os.truncate(image, length)
    with pytest.raises(InputError, match="cut off") as caught:
        probe(image)
    assert caught.value.hint == "download or copy it again"
    assert caught.value.where == str(image)
    assert "Could not open" not in caught.value.message
    if length < (70_000 if image_format == "vpc" else 3 * MIB):
        assert caught.value.message.endswith("file ends before its tables do")
    else:  # its own tables tell
        assert f"the file has {length}" in caught.value.message


def test_an_image_that_points_to_another_file_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"host file" + bytes(MIB - 9))
    backed, outside = tmp_path / "backed.qcow2", tmp_path / "outside.qcow2"
    qemu_img.create_overlay(secret, backed, base_format="raw")
    options = f"data_file={tmp_path}/data.raw,data_file_raw=on"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, outside, "1M"])
    for image in (backed, outside):
        with pytest.raises(InputError, match="needs another file"):
            probe(image)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), (b"", "is empty"), (b"QFI\xfb\x00\x00\x00\x03" + b"\xff" * 600, "damaged")],
)
def test_what_is_no_image(tmp_path: Path, content: bytes | None, message: str) -> None:
    image = tmp_path / "image"
    if content is not None:
        image.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        probe(image)
    assert caught.value.where == str(image)


def test_a_directory_and_an_unusable_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a file"):
        probe(tmp_path)
    run(["qemu-img", "create", "-q", "-f", "vmdk", tmp_path / "x.vmdk", "1M"])
    with pytest.raises(InputError, match="'vmdk' cannot be used"):
        probe(tmp_path / "x.vmdk")
