"""`--cache-dir`: what did not change is not run again, and the result is the same as without a cache."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.images.inside import Inside
from tests.images.synthetic import MIB, small_base
from tests.images.workplace import Workplace, run_on_small_disk
from twinroot.tools.e2fsprogs import Location, read_file

ROOT_OFFSET = 9 * MIB
DISK = """\
storage:
  bootType: efi
  disks: [{partitionTableType: gpt, partitions: [{id: esp, type: esp, size: 8M}, {id: root, size: 64M}]}]
  filesystems:
    - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
    - {deviceId: root, type: ext4, mountPoint: /}
"""
CONFIG = (
    DISK
    + """\
os:
  bootloader: {resetType: hard-reset}
  packages: {remove: [nano]}
  hostname: NAME
"""
)
COUNT = '#!/bin/sh\nread -r once < /proc/sys/kernel/random/uuid\necho "$once $*" >> /var/lib/apt-calls\nexit 0\n'


def count_calls(root: Path) -> None:
    """Have the package manager note each call in the image, with a number that differs from run to run."""
    (root / "usr/bin/apt-get").write_text(COUNT)
    with (root / "usr/bin/dpkg-query").open("a") as script:
        script.write("printf 'ii \\tnano\\t1\\tamd64\\nii \\tvim\\t1\\tamd64\\n'\n")
    (root / "usr/sbin/update-initramfs").write_text(COUNT.replace("apt-calls", "initramfs-calls"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = small_base(tmp_path_factory.mktemp("cache") / "base.raw", count_calls)
    os.utime(path, (1, 1))
    return path


def inside(image: Path, path: str) -> str:
    found = read_file(Location(image, ROOT_OFFSET), path)
    assert found is not None
    return found.decode()


def build(place: Workplace, base: Path, config: str, *extra: object) -> tuple[Path, str]:
    """One run with a cache; the image and what was said about the cache."""
    done = place.run(base, config, "--cache-dir", place.root / "kept", *extra)
    assert done.code == 0, done.stderr
    place.check_clean()
    return place.out / "image", "\n".join(re.findall(r"Cache: (.*)", done.stderr))


def test_an_unchanged_prefix_is_not_run_again(base: Path, place: Workplace) -> None:
    image, said = build(place, base, CONFIG.replace("NAME", "first"))
    assert said == "0 of 10 steps need not be run again"
    packages, initramfs = inside(image, "/var/lib/apt-calls"), inside(image, "/var/lib/initramfs-calls")
    fstab, grub = inside(image, "/etc/fstab"), inside(image, "/boot/grub/grub.cfg")
    assert packages.count("nano") == 1

    image, said = build(place, base, CONFIG.replace("NAME", "first"))
    assert said == "3 of 10 steps need not be run again"
    assert inside(image, "/var/lib/apt-calls") == packages
    assert inside(image, "/var/lib/initramfs-calls") == initramfs
    assert inside(image, "/usr/share/image-customizer/history.json").count("imageUuid") == 1
    # Each image has identifiers of its own all the same.
    assert inside(image, "/etc/fstab") != fstab
    assert inside(image, "/boot/grub/grub.cfg") != grub
    assert inside(image, "/etc/hostname") == "first"

    image, said = build(place, base, CONFIG.replace("NAME", "second"))
    assert said == "1 of 10 steps need not be run again"
    assert inside(image, "/var/lib/apt-calls") == packages
    assert inside(image, "/var/lib/initramfs-calls") != initramfs
    assert inside(image, "/etc/hostname") == "second"

    image, said = build(place, base, CONFIG.replace("NAME", "second").replace("nano", "vim"))
    assert said == "0 of 10 steps need not be run again"
    assert inside(image, "/var/lib/apt-calls") != packages


def test_why_rebuild_names_what_changed(base: Path, place: Workplace) -> None:
    path = place.root / "one.yaml"

    def run(text: str) -> str:
        path.write_text(text)
        done = place.run(base, text, "--config-file", path, "--cache-dir", place.root / "kept", "--why-rebuild")
        assert done.code == 0, done.stderr
        return done.stderr

    assert "Cache: this configuration has not been built with this cache yet" in run(CONFIG)
    assert "Cache: no input has changed" in run(CONFIG)
    said = run(CONFIG.replace("NAME", "other"))
    assert "Cache: 'Set the host name: other' and what comes after it must be done again: os.hostname changed" in said
    assert "Cache: as it was: Change packages" in said
    assert "Cache: run: Regenerate the initramfs with the image's own tool" in said
    assert "Cache: run: Write /etc/fstab (it writes this image's own identifiers)" in said
    said = run(CONFIG)
    assert "Cache: os.hostname changed, and an earlier run had the same" in said
    assert "Cache: as it was: Set the host name: NAME" in said
    run(CONFIG.replace("NAME", "other"))
    os.utime(base, (2, 2))
    assert "Cache: no input has changed" in run(CONFIG.replace("NAME", "other"))


def test_the_image_is_the_same_as_without_a_cache(base: Path, place: Workplace) -> None:
    """But for what differs in any two builds: identifiers."""
    text = CONFIG.replace("NAME", "same")
    build(place, base, text)
    cached, _ = build(place, base, text)
    kept = place.root / "cached.raw"
    cached.rename(kept)
    plain = place.succeeds(base, text)
    for path in ("/etc/hostname", "/etc/default/grub", "/usr/lib/os-release", "/etc/resolv.conf", "/etc/shadow"):
        assert read_file(Location(kept, ROOT_OFFSET), path) == read_file(Location(plain, ROOT_OFFSET), path)
    uuid = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9A-F]{4}-[0-9A-F]{4}")
    for path in ("/etc/fstab", "/boot/grub/grub.cfg"):
        assert uuid.sub("x", inside(kept, path)) == uuid.sub("x", inside(plain, path))


@pytest.mark.parametrize("source", ["one", "directory"])
def test_modes_and_times_of_copied_files_are_those_of_this_build(base: Path, place: Workplace, source: str) -> None:
    (place.root / "directory").mkdir()
    for path in (place.root / "one", place.root / "directory" / "one"):
        path.write_text("x")
        path.chmod(0o600)
        os.utime(path, (5, 5))
    entry = {
        "one": "additionalFiles: [{source: one, destination: /opt/one}]",
        "directory": "additionalDirs: [{source: directory, destination: /opt}]",
    }[source]
    text = f"{DISK}os:\n  bootloader: {{resetType: hard-reset}}\n  {entry}\n"
    build(place, base, text)
    for path in (place.root / "one", place.root / "directory" / "one"):
        path.chmod(0o755)
        os.utime(path, (7, 7))
    image, _ = build(place, base, text)
    found = Inside(image).entry("/opt/one")
    assert found
    assert (found.mode, found.mtime) == (0o755, 7 * 10**9)


def test_a_kept_layout_can_be_cached_too(base: Path, place: Workplace) -> None:
    text = "os: {packages: {remove: [nano]}, kernelCommandLine: {extraCommandLine: [extra=1]}}"
    first, _ = build(place, base, text)
    arguments = inside(first, "/etc/default/grub")
    second, said = build(place, base, text)
    assert said == "1 of 7 steps need not be run again"
    assert inside(second, "/etc/default/grub") == arguments


@pytest.mark.parametrize("name", ["a file", "missing/below"])
def test_a_cache_directory_that_cannot_be_used(base: Path, place: Workplace, name: str) -> None:
    (place.root / "a file").write_text("x")
    target = place.root / name if name == "a file" else place.root / "a file" / "below"
    place.fails(base, CONFIG.replace("NAME", "a"), "--cache-dir", target, says=["--cache-dir cannot be used"])


def test_why_rebuild_needs_a_cache(base: Path, place: Workplace) -> None:
    place.fails(base, CONFIG.replace("NAME", "a"), "--why-rebuild", says=["--why-rebuild speaks of a cache"])


def test_what_a_killed_run_left_is_not_used_and_removed(base: Path, place: Workplace) -> None:
    text = CONFIG.replace("NAME", "a")
    build(place, base, text)
    trees = next((place.root / "kept").glob("*/trees"))
    (tree,) = [path for path in trees.iterdir() if "apt-calls" in str(list((path / "upper").rglob("apt-calls")))][:1]
    leftover = trees / f".{tree.name}.1"
    tree.rename(leftover)
    build(place, base, text.replace("nano", "vim"))
    assert not leftover.exists()


def test_a_full_cache_does_not_end_the_build(base: Path, place: Workplace) -> None:
    text = CONFIG.replace("NAME", "a")
    kept = place.root / "kept"
    done = run_on_small_disk(place, kept, "size=8k", base, text, "--cache-dir", kept)
    assert done.code == 0, done.stderr
    assert "'Change packages' made is not kept: " in done.stderr
    assert "the disk that holds the cache directory is full" in done.stderr
    assert inside(place.out / "image", "/etc/hostname") == "a"
    place.check_clean()


def test_what_somebody_meddled_with_is_removed(base: Path, place: Workplace) -> None:
    text = CONFIG.replace("NAME", "a")
    build(place, base, text)
    trees = next((place.root / "kept").glob("*/trees"))
    for tree in trees.iterdir():
        (tree / "size").write_text("?")
    before = set(trees.iterdir())
    build(place, base, text.replace("nano", "vim"))
    assert not before & set(trees.iterdir())


def test_nobody_else_may_look_into_a_cache(base: Path, place: Workplace) -> None:
    build(place, base, CONFIG.replace("NAME", "a"))
    assert [path.stat().st_mode & 0o777 for path in (place.root / "kept").iterdir() if path.is_dir()] == [0o700]
