"""Where a run writes and what it needs: outputs, build directories, full disks, missing programs, small partitions."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.images import Finished
from tests.images.synthetic import MIB, small_base
from tests.images.workplace import HOSTNAME_ONLY, Workplace, check_refused, run_on_small_disk

pytestmark = pytest.mark.images

_DISK = """
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      maxSize: {disk}M
      partitions:
        - {{id: esp, type: esp, size: {esp}M}}
        - {{id: root, size: {root}M}}
  filesystems:
    - {{deviceId: esp, type: fat32, mountPoint: /boot/efi}}
    - {{deviceId: root, type: ext4, mountPoint: /}}
os:
  bootloader:
    resetType: hard-reset
"""


def _layout(esp: int, root: int) -> str:
    return _DISK.format(disk=esp + root + 2, esp=esp, root=root)


# Output paths.


def test_output_directory_that_does_not_exist(small: Path, place: Workplace) -> None:
    done = place.run(small, output=place.root / "no/image")
    check_refused(done, [str(place.root / "no"), "does not exist"])
    assert not (place.root / "no").exists()
    assert not place.build.exists(), "before any work"


def test_output_that_is_a_directory(small: Path, place: Workplace) -> None:
    done = place.run(small, output=place.out)
    check_refused(done, [str(place.out), "is a directory"])
    assert list(place.out.iterdir()) == []


def test_output_directory_that_is_read_only(small: Path, place: Workplace) -> None:
    """Root may write everywhere but on a read-only filesystem."""
    done = run_on_small_disk(place, place.out, "ro", small)
    check_refused(done, [str(place.out)])
    place.check_clean()


@pytest.mark.parametrize("output_format", ["raw", "qcow2", "cosi", "vhd-fixed"])
def test_existing_output_is_replaced_only_by_a_whole_one(output_format: str, small: Path, place: Workplace) -> None:
    existing = place.out / "image"
    existing.write_text("before")
    arguments = ["os:\n  packages:\n    remove: [nosuchthing]\n"]
    done = place.run(small, *arguments, output_format=output_format)
    check_refused(done, ["nosuchthing"])
    assert existing.read_text() == "before"
    place.succeeds(small, output_format=output_format)
    assert existing.stat().st_size > MIB // 8
    assert list(place.out.iterdir()) == [existing]


@pytest.mark.parametrize("kind", ["file", "read-only"])
def test_build_directory_that_cannot_be_used(kind: str, small: Path, place: Workplace) -> None:
    if kind == "file":
        place.build.write_text("")
        done = place.run(small)
    else:
        place.build.mkdir()
        done = run_on_small_disk(place, place.build, "ro", small)
    check_refused(done, [str(place.build), "--build-dir"])
    assert list(place.out.iterdir()) == []


def _limited(place: Workplace, base: Path, config: str, largest: int, output_format: str) -> Finished:
    """A run in which no file may become larger, as it is on filesystems with such a limit."""
    arguments = map(str, place.arguments(base, config, output_format=output_format))
    words = [sys.executable, "-m", "twinroot.cli.imagecustomizer", *arguments]
    done = subprocess.run(["prlimit", f"--fsize={largest}", *words], capture_output=True, text=True, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("largest", "output_format", "says"),
    [
        (80, "cosi", ["storage.disks[0].partitions[1].size: ", "this partition (100 MiB)", "at most 80 MiB"]),
        (110, "qcow2", ["storage.disks[0].maxSize: ", "this disk (118 MiB)", "at most 110 MiB"]),
    ],
)
def test_sizes_that_no_file_can_have(
    largest: int, output_format: str, says: list[str], small: Path, place: Workplace
) -> None:
    done = _limited(place, small, _layout(16, 100), largest * MIB, output_format)
    check_refused(done, [*says, ".yaml:", "the build directory " + str(place.build)])
    assert "Opening the base image" not in done.stderr, "before any work"
    assert list(place.out.iterdir()) == []


# Full disks.


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with 24 MiB that do not compress, as qcow2, so that every step needs its room."""
    raw = tmp_path_factory.mktemp("large") / "base.raw"
    small_base(raw, lambda root: (root / "ballast").write_bytes(os.urandom(24 * MIB)))
    image = raw.with_suffix(".qcow2")
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, image], check=True)
    return image


@pytest.mark.parametrize(("size", "output_format"), [(1, "raw"), (8, "raw"), (36, "raw"), (48, "cosi"), (44, "qcow2")])
def test_full_build_directory(size: int, output_format: str, large: Path, place: Workplace) -> None:
    """At these sizes the disk becomes full while converting, while making filesystems, and while writing."""
    # The raw base is used where it lies, so that room remains for the filesystems, and none for the disk made of them.
    base = large.with_suffix(".raw") if output_format == "qcow2" else large
    done = run_on_small_disk(place, place.build, f"size={size}M", base, _layout(16, 100), output_format=output_format)
    check_refused(done, [str(place.build), "the build directory is full"])
    assert list(place.out.iterdir()) == []
    assert "scratch" not in done.stderr.splitlines()
    place.check_quiet()


@pytest.mark.parametrize("output_format", ["raw", "qcow2", "vhd-fixed", "cosi"])
def test_full_output_directory(output_format: str, large: Path, place: Workplace) -> None:
    done = run_on_small_disk(place, place.out, "size=8M", large, output_format=output_format)
    check_refused(done, [str(place.out)])
    assert "is full" in done.stderr or "no space is left" in done.stderr
    assert "partial" not in done.stderr.split("image customization failed")[1]
    place.check_clean()


# Partitions too small for their content.


@pytest.mark.parametrize(("esp", "root", "field"), [(8, 24, "partitions[1].size ('root')")])
def test_root_too_small(esp: int, root: int, field: str, large: Path, place: Workplace) -> None:
    stderr = place.fails(large, _layout(esp, root), says=["the content of / needs", "bytes are missing", field])
    missing = int(re.findall(r"(\d+) bytes are missing", stderr)[0])
    assert missing > 0
    place.succeeds(large, _layout(esp, root + -(-missing // MIB)))


def test_esp_too_small(place: Workplace, tmp_path: Path) -> None:
    def edit(root: Path) -> None:
        # Without an ESP in fstab, what lies in /boot/efi moves to the new one.
        (root / "etc/fstab").write_text("")
        (root / "boot/efi/big.efi").write_bytes(os.urandom(10 * MIB))

    base = small_base(tmp_path / "base.raw", edit)
    stderr = place.fails(base, _layout(8, 64), says=["/boot/efi needs", "partitions[0].size ('esp')"])
    missing = int(re.findall(r"(\d+) bytes are missing", stderr)[0])
    place.succeeds(base, _layout(8 + -(-missing // MIB), 64))


# Host programs.


@pytest.mark.parametrize(
    ("program", "package"),
    [("mke2fs", "e2fsprogs"), ("mcopy", "mtools"), ("qemu-img", "qemu-utils"), ("mkfs.vfat", "dosfstools"),
     ("setpriv", "util-linux"), ("createrepo_c", "createrepo-c")],
)  # fmt: skip
def test_missing_program(program: str, package: str, small: Path, place: Workplace, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for directory in ("/bin", "/sbin", "/usr/sbin", "/usr/bin"):
        for path in Path(directory).iterdir():
            link = tools / path.name
            if path.name != program and not link.is_symlink():
                link.symlink_to(path)
    (tmp_path / "rpms").mkdir()
    source = ["--rpm-source", tmp_path / "rpms"]
    says = [f"the program '{program}' is not installed", f"apt-get install {package}\n"]
    place.fails(small, HOSTNAME_ONLY, *source, says=says, env={"TWINROOT_TOOL_PATH": str(tools)})
    assert not place.build.exists(), "before any work"


# Configs, once through the command line; everything about them is tested beside the config package.

_BAD = "os:\n  hostname: ok\n  colour: blue\n  shape: round\n"


def test_config_problems_with_their_places(small: Path, place: Workplace) -> None:
    stderr = place.fails(small, _BAD, says=["config-1.yaml:3:3:", "colour", "    3 |   colour: blue\n      |   ^\n"])
    assert not place.build.exists(), "before any work"
    assert "config-1.yaml:4:3:" in stderr


def test_partitions_that_overlap_or_exceed_the_disk(small: Path, place: Workplace) -> None:
    config = _DISK.format(disk=64, esp=16, root=100)
    place.fails(small, config, says=["config-1.yaml:", "maxSize"])


def test_config_problems_as_json(small: Path, place: Workplace) -> None:
    stderr = place.fails(small, _BAD, "--log-format", "json", says=[])
    problems = [row["problem"] for row in map(json.loads, stderr.splitlines()) if "problem" in row]
    places = [(Path(problem["file"]).name, problem["line"], problem["column"]) for problem in problems]
    assert places == [("config-1.yaml", 3, 3), ("config-1.yaml", 4, 3)]


def test_missing_config(small: Path, place: Workplace) -> None:
    argv = [sys.executable, "-m", "twinroot.cli.imagecustomizer", "--build-dir", str(place.build), "--config-file",
            str(place.root / "none.yaml"), "--image-file", str(small), "--output-image-file", str(place.out / "image"),
            "--output-image-format", "raw"]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    check_refused(Finished(done.returncode, done.stdout, done.stderr), ["none.yaml"])
