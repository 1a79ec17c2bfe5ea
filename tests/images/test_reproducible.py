"""The same inputs give the same bytes under SOURCE_DATE_EPOCH; where they do not, the first difference is shown."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.images import AB_CONFIG, BASE_DEB, BASE_RPM, RPMS, Finished, agent_rpms, built, command
from tests.images.synthetic import MIB, small_base
from tests.images.workplace import Workplace
from twinroot.tools.run import run

pytestmark = pytest.mark.images

EPOCH = 1_700_000_000
LAYOUT = """
storage:
  bootType: efi
  disks: [{partitionTableType: gpt, maxSize: 200M, partitions: [
    {id: esp, type: esp, size: 8M}, {id: boot, size: 40M}, {id: root, size: 100M}]}]
  filesystems:
    - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
    - {deviceId: boot, type: ext4, mountPoint: /boot}
    - {deviceId: root, type: ext4, mountPoint: /}
os: {bootloader: {resetType: hard-reset}, hostname: changed}
"""


def verify(place: Workplace, base: Path, config: str | Path, *extra: object, output_format: str = "raw") -> Finished:
    path = config if isinstance(config, Path) else place.config(config)
    return command(
        "main", "verify-reproducible", "--build-dir", place.build, "--image-file", base, "--config-file", path,
        "--output-image-format", output_format, *extra, env={"SOURCE_DATE_EPOCH": str(EPOCH)},
    )  # fmt: skip


def build(place: Workplace, base: Path, config: str, epoch: int, output_format: str) -> str:
    """Build, and give the hash of the output."""
    done = place.run(base, config, output_format=output_format, env={"SOURCE_DATE_EPOCH": str(epoch)})
    assert done.code == 0, done.stderr
    with (place.out / "image").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("output_format", ["raw", "cosi", "vhd-fixed"])
def test_same_bytes_from_another_place_and_from_copied_inputs(
    output_format: str, small: Path, place: Workplace, tmp_path: Path
) -> None:
    first = build(place, small, LAYOUT, EPOCH, output_format)
    other = Workplace(tmp_path / "another place with a longer name")
    other.root.mkdir()
    copy = other.root / "renamed.img"
    shutil.copyfile(small, copy)
    assert build(other, copy, LAYOUT, EPOCH, output_format) == first
    assert build(other, copy, LAYOUT, EPOCH + 1, output_format) != first
    assert build(other, copy, LAYOUT.replace("hostname: changed", "hostname: other"), EPOCH, output_format) != first


def test_umask_of_the_caller_does_not_count(small: Path, place: Workplace) -> None:
    layout = LAYOUT.replace("mountPoint: /boot}", "mountPoint: /srv/new/place}")
    first = build(place, small, layout, EPOCH, "raw")
    before = os.umask(0o077)
    try:
        assert build(place, small, layout, EPOCH, "raw") == first
        # Files of this host still do as the caller wants.
        assert (place.out / "image").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_kept_disk(small: Path, place: Workplace) -> None:
    config = "os: {hostname: changed, kernelCommandLine: {extraCommandLine: [quiet]}}"
    assert build(place, small, config, EPOCH, "raw") == build(place, small, config, EPOCH, "raw")


def test_nothing_is_newer_than_the_epoch_but_files_of_the_base(small: Path, place: Workplace) -> None:
    build(place, small, LAYOUT, EPOCH, "raw")
    at = f"{place.out / 'image'}?offset={49 * MIB}"
    times = {
        name: run(["debugfs", "-R", f"stat {name}", at]).stdout.split("mtime: 0x")[1][:8]
        for name in ("/etc/hostname", "/etc/fstab", "/etc/os-release")
    }
    assert times["/etc/hostname"] == times["/etc/fstab"] == f"{EPOCH:08x}"
    assert int(times["/etc/os-release"], 16) > EPOCH
    header = run(["debugfs", "-R", "stats -h", at]).stdout
    assert "2023" in header.split("Filesystem created:")[1].splitlines()[0]


def test_wrong_epoch_is_refused_before_any_work(small: Path, place: Workplace) -> None:
    place.fails(small, LAYOUT, env={"SOURCE_DATE_EPOCH": "yesterday"}, says=["SOURCE_DATE_EPOCH is 'yesterday'"])


def test_verified_image_is_kept(small: Path, place: Workplace) -> None:
    target = place.out / "image.cosi"
    done = verify(place, small, LAYOUT, "--output-image-file", target, output_format="cosi")
    assert (done.code, done.stdout) == (0, "reproducible: both builds gave the same bytes\n"), done.stderr
    assert done.stderr.count("SOURCE_DATE_EPOCH=1700000000") == 2
    assert command("main", "verify", target).code == 0
    assert list(place.out.iterdir()) == [target]
    place.check_clean()


def random_grub_mkconfig(root: Path) -> None:
    """A program that writes what is different every time."""
    path = root / "usr/sbin/grub-mkconfig"
    path.write_text(path.read_text() + 'read -r id < /proc/sys/kernel/random/uuid; echo "# $id" >> "$2"\n')


def test_first_difference_is_shown(place: Workplace, tmp_path: Path) -> None:
    base = small_base(tmp_path / "base.raw", random_grub_mkconfig)
    done = verify(place, base, LAYOUT, "--output-image-file", place.out / "image.raw")
    assert done.code == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("not reproducible: the files differ first at byte ")
    assert lines[1].startswith("first difference: partition 2 (/boot), changed file '/grub/grub.cfg', byte ")
    assert lines[-1] == "different: 1 partition, files: 1 changed"
    assert list(place.out.iterdir()) == []
    place.check_clean()


@pytest.mark.parametrize(
    ("output_format", "says"),
    [
        ("qcow2", "files of the format qcow2 are never the same twice"),
        ("nonsense", "'nonsense' is not known: use one of cosi"),
    ],
)
def test_formats_that_are_never_the_same(output_format: str, says: str, small: Path, place: Workplace) -> None:
    done = verify(place, small, LAYOUT, output_format=output_format)
    assert (done.code, done.stdout) == (2, "")
    assert says in done.stderr
    place.check_clean()


def test_failed_build_is_trouble(small: Path, place: Workplace) -> None:
    done = verify(place, small, LAYOUT.replace("100M", "2M"))
    assert (done.code, done.stdout) == (2, "")
    assert "build 1 failed" in done.stderr
    assert "bytes are missing" in done.stderr
    place.check_clean()


@pytest.mark.packages
def test_demo_is_reproducible(place: Workplace) -> None:
    sources = ["--rpm-source", RPMS, "--rpm-source", agent_rpms(), "--disable-base-image-rpm-repos"]
    done = verify(place, built(BASE_RPM), AB_CONFIG, *sources, output_format="cosi")
    assert done.code == 0, done.stdout + done.stderr
    place.check_clean()


def test_debian_with_packages_is_reproducible(place: Workplace) -> None:
    config = LAYOUT.replace("200M", "4G").replace("40M", "400M").replace("100M", "3G").replace("8M", "64M")
    config += "  packages: {install: [curl, python3-yaml]}\n"
    config = config.replace("os: {bootloader: {resetType: hard-reset}, hostname: changed}",
                            "os:\n  bootloader: {resetType: hard-reset}")  # fmt: skip
    done = verify(place, built(BASE_DEB), config)
    assert done.code == 0, done.stdout + done.stderr
    place.check_clean()


def test_comparison_of_a_built_base_with_itself_and_a_change(place: Workplace) -> None:
    base = built(BASE_RPM)
    done = place.run(base, "os: {hostname: another}", output_format="cosi")
    assert done.code == 0, done.stderr
    found = json.loads(command("main", "diff", base, place.out / "image", "--json").stdout)
    paths = {file["path"] for partition in found["partitions"] for file in partition["files"]}
    assert "/etc/hostname" in paths
    assert (found["disk"], found["packages"], found["boot"]) == ([], [], [])


def test_ordinary_interrupt_leaves_nothing(small: Path, place: Workplace) -> None:
    code = dedent("""
        import signal, subprocess, sys, time
        process = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "Making filesystems" in line:
                process.send_signal(signal.SIGTERM)
                break
        process.stderr.read()
        sys.exit(process.wait())
    """)
    arguments = ["verify-reproducible", "--build-dir", place.build, "--image-file", small, "--config-file",
                 place.config(LAYOUT), "--output-image-format", "raw"]  # fmt: skip
    argv = [sys.executable, "-c", code, sys.executable, "-m", "twinroot.cli.main", *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    place.check_clean()
