"""Without `storage`, the base's disk is kept: table, filesystems with their identity, and what nothing mounts."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.images import command
from tests.images.synthetic import DISK_UUID, ESP_ID, MIB, ROOT_UUID
from tests.images.workplace import HOSTNAME_ONLY, Workplace

pytestmark = pytest.mark.images

_ARGUMENT = "os:\n  kernelCommandLine:\n    extraCommandLine: [extra.argument=1, quiet]\n"
_QEMU = {"raw": "raw", "qcow2": "qcow2", "vhd": "vpc", "vhdx": "vhdx"}


def _run(*argv: object) -> str:
    env = os.environ | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run([*map(str, argv)], capture_output=True, text=True, check=True, env=env).stdout


def _as_raw(image: Path, output_format: str, directory: Path) -> Path:
    """The image as a raw disk, by qemu and by our own conversion for COSI."""
    raw = directory / "disk.raw"
    if output_format == "cosi":
        done = command("main", "convert", image, raw)
        assert done.code == 0, done.stderr
    elif output_format == "vhd-fixed":
        raw.write_bytes(image.read_bytes()[:-512])
    else:
        force = "driver=vpc,force_size_calc=current_size,file.driver=file,file.filename="
        source = ["--image-opts", f"{force}{image}"] if output_format == "vhd" else ["-f", _QEMU[output_format], image]
        _run("qemu-img", "convert", "-O", "raw", *source, raw)
    return raw


def _table(raw: Path) -> object:
    """What identifies disk and partitions; the first usable sector is a limit for tools, not a property of either."""
    table = json.loads(_run("sfdisk", "--json", raw))["partitiontable"]
    return {key: table[key] for key in ("label", "id", "lastlba", "sectorsize")}, [
        {key: value for key, value in partition.items() if key != "node"} for partition in table["partitions"]
    ]


def _filesystem(raw: Path, start: int) -> dict[str, str]:
    text = _run("blkid", "--probe", "--offset", start * MIB, "--size", 8 * MIB if start == 1 else 64 * MIB,
                "--output", "export", raw)  # fmt: skip
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key: values[key] for key in ("UUID", "LABEL", "TYPE")}


@pytest.mark.parametrize("output_format", ["raw", "qcow2", "vhd", "vhd-fixed", "vhdx", "cosi"])
def test_identity_is_kept(output_format: str, small: Path, place: Workplace, tmp_path: Path) -> None:
    image = place.succeeds(small, HOSTNAME_ONLY, output_format=output_format)
    raw = _as_raw(image, output_format, tmp_path)
    assert _table(raw) == _table(small)
    assert DISK_UUID in str(_table(raw))
    assert _filesystem(raw, 1) == {"UUID": ESP_ID, "LABEL": "ESPLABEL", "TYPE": "vfat"}
    assert _filesystem(raw, 9) == {"UUID": ROOT_UUID, "LABEL": "rootlabel", "TYPE": "ext4"}
    data = slice(73 * MIB, 77 * MIB)
    assert raw.read_bytes()[data] == small.read_bytes()[data]
    assert _run("debugfs", "-R", "cat /etc/hostname", f"{raw}?offset={9 * MIB}") == "changed"
    _run("e2fsck", "-f", "-n", f"{raw}?offset={9 * MIB}")


def test_arguments_are_added_once(small: Path, place: Workplace) -> None:
    image = place.succeeds(small, _ARGUMENT)
    at = f"{image}?offset={9 * MIB}"
    config = _run("debugfs", "-R", "cat /boot/grub/grub.cfg", at)
    line = next(row for row in config.splitlines() if row.startswith("linux"))
    assert line.split() == ["linux", "/vmlinuz", f"root=UUID={ROOT_UUID}", "quiet", "extra.argument=1", "quiet"]
    default = _run("debugfs", "-R", "cat /etc/default/grub", at)
    assert default.count("extra.argument=1") == 1
    assert "GRUB_TIMEOUT=0\n" in default


def test_base_image_is_only_read(small: Path, place: Workplace) -> None:
    before = small.read_bytes()
    status = small.stat()
    small.chmod(0o444)
    place.succeeds(small, _ARGUMENT)
    assert small.read_bytes() == before
    assert small.stat().st_mtime_ns == status.st_mtime_ns


def test_cosi_holds_the_partition_that_nothing_mounts(small: Path, place: Workplace) -> None:
    image = place.succeeds(small, HOSTNAME_ONLY, output_format="cosi")
    with tarfile.open(image) as cosi:
        member = cosi.extractfile("metadata.json")
        assert member is not None
        metadata = json.load(member)
    assert [entry["mountPoint"] for entry in metadata["images"]] == ["/", "/boot/efi"]
    assert len(metadata["disk"]["gptRegions"]) == 4
