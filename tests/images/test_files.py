"""`os.additionalFiles` and `os.additionalDirs` through the command line, on a synthetic base."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.images import REPOSITORY
from tests.images.inside import Inside
from tests.images.synthetic import MIB, small_base
from tests.images.workplace import Workplace, run_on_small_disk

pytestmark = pytest.mark.images

TIME = 1_400_000_000 * 10**9  # before SOURCE_DATE_EPOCH, which younger times become
CONFIG = """
previewFeatures: [base-configs]
baseConfigs: [{path: base/base.yaml}]
os:
  additionalDirs: [{source: tree, destination: /opt/app, childFilePermissions: 640, newDirPermissions: 750}]
  additionalFiles:
    - {source: program, destination: /usr/local/bin/program}
    - {source: program, destination: usr/local/bin/readable, permissions: 444}
    - {content: "[x]\\n", destination: /opt/app/conf}
    - {content: "", destination: /etc/hostname, permissions: 600}
    - {source: sparse, destination: /var/sparse}
    - {source: program, destination: /boot/efi/EFI/program.bin}
    - {source: program, destination: /tmp/program}
"""


def _prepare(place: Workplace) -> None:
    (place.root / "tree/sub").mkdir(parents=True)
    (place.root / "tree/sub/file").write_text("file")
    (place.root / "tree/conf").write_text("of the directory")
    (place.root / "tree/link").symlink_to("sub/file")
    (place.root / "program").write_bytes(b"\x7fELF\0\xff" * 100)
    (place.root / "program").chmod(0o755)
    os.utime(place.root / "program", ns=(TIME, TIME))
    with (place.root / "sparse").open("wb") as file:
        file.truncate(1000 * MIB)
        file.write(b"data")
    (place.root / "base").mkdir()
    (place.root / "base/program").write_text("another program")
    (place.root / "base/base.yaml").write_text(
        "os:\n  additionalFiles:\n    - {source: program, destination: /usr/local/bin/program}\n"
        "    - {source: program, destination: /usr/local/bin/base}\n"
    )


def test_files_and_directories(small: Path, place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    _prepare(place)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    done = place.run(small, CONFIG)
    assert done.code == 0, done.stderr
    image = Inside(place.out / "image")
    program = image.entry("/usr/local/bin/program")
    assert program and (program.mode, program.uid, program.gid, program.mtime) == (0o755, 0, 0, TIME)
    assert program.size == (place.root / "program").stat().st_size
    assert image.text("/usr/local/bin/base") == "another program"
    assert image.owner("/usr/local/bin/readable") == (0o444, 0, 0)
    conf = image.entry("/opt/app/conf")
    assert conf and (conf.mode, conf.mtime) == (0o644, 1_500_000_000 * 10**9)
    assert image.text("/opt/app/conf") == "[x]\n", "files come after directories"
    assert image.owner("/opt") == image.owner("/opt/app/sub") == (0o750, 0, 0)
    assert image.owner("/opt/app/sub/file") == (0o640, 0, 0)
    link, sparse = image.entry("/opt/app/link"), image.entry("/var/sparse")
    assert link and link.link == "sub/file"
    assert sparse and sparse.size == 1000 * MIB and sparse.used < MIB
    assert image.owner("/etc/hostname") == (0o600, 0, 0)
    assert image.entry("/tmp/program") is None and "/tmp is in memory" in done.stderr
    assert "config-1.yaml:13:" in done.stderr


def test_two_builds_are_the_same(small: Path, place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    _prepare(place)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    seen = []
    for _ in range(2):
        image = Inside(place.succeeds(small, CONFIG))
        paths = ("/opt/app", "/opt/app/sub", "/opt/app/link", "/opt/app/conf", "/usr/local/bin/program")
        seen.append([image.entry(path) for path in paths])
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("additionalFiles: [{source: /dev/zero, destination: /endless}]",
         ["os.additionalFiles[0].source", "/dev/zero does not fit", "has 64 MiB"]),
        ("additionalFiles: [{content: a, destination: /b}, {source: pipe, destination: /a}]",
         ["os.additionalFiles[1].source", "pipe is not a file"]),
        ("additionalFiles: [{content: a, destination: /etc}]", ["os.additionalFiles[0].destination", "is a directory"]),
        ("additionalFiles: [{content: a, destination: /bin}]", ["[0].destination", "a link to a directory"]),
        ("additionalFiles: [{content: a, destination: /proc/x}]", ["[0].destination", "/proc is the kernel's"]),
        ("additionalFiles: [{content: a, destination: /dev/../sys/x}]", ["[0].destination", "/sys is the kernel's"]),
        ("additionalDirs: [{source: d, destination: /dev}]", ["os.additionalDirs[0].destination", "the kernel's"]),
        ("additionalDirs: [{source: d, destination: /a}]", ["os.additionalDirs[0]", "pipe is neither a file"]),
        ("additionalDirs: [{source: ., destination: /a}]", ["os.additionalDirs[0]", "holds the build directory"]),
        ("additionalDirs: [{source: pipe, destination: /a}]", ["os.additionalDirs[0].source", "a directory is wanted"]),
    ],
)  # fmt: skip
def test_refused_with_its_place(entry: str, says: list[str], small: Path, place: Workplace) -> None:
    (place.root / "d").mkdir()
    os.mkfifo(place.root / "d/pipe")
    (place.root / "pipe").symlink_to("d/pipe")
    place.fails(small, f"os:\n  {entry}\n", says=["config-1.yaml:2:", *says])


def test_a_device_without_end_on_a_small_disk(small: Path, place: Workplace) -> None:
    """Random data has no holes: it fills the build directory before it fills the filesystem."""
    config = "os:\n  additionalFiles: [{source: /dev/urandom, destination: /endless}]\n"
    done = run_on_small_disk(place, place.build, "size=32M", small, config)
    assert done.code == 1 and "the build directory is full" in done.stderr, done.stderr
    assert list(place.out.iterdir()) == []
    place.check_quiet()


def test_links_of_the_image_lead_nowhere_else(place: Workplace, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as outside:
        victim = Path(outside)
        (victim / "file").write_text("victim")

        def edit(root: Path) -> None:
            (root / "etc/out").symlink_to(victim)
            (root / "etc/file").symlink_to(victim / "file")
            (root / "up").symlink_to("../../../../../../../..")
            os.mkfifo(root / "etc/pipe")

        base = small_base(tmp_path / "base.raw", edit)
        (place.root / "d").mkdir()
        (place.root / "d/file").write_text("new")
        config = (
            "os:\n  additionalDirs: [{source: d, destination: /etc/out}, {source: d, destination: /etc}]\n"
            f"  additionalFiles: [{{content: x, destination: /up{victim}/a}}, {{content: x, destination: /etc/pipe}}]\n"
        )
        image = Inside(place.succeeds(base, config))
        assert [path.name for path in victim.iterdir()] == ["file"] and (victim / "file").read_text() == "victim"
        assert image.names(str(victim)) == ["a", "file"] and image.text("/etc/file") == "new"
        assert image.text("/etc/pipe") == "x"


def test_the_example_of_the_reference(small: Path, place: Workplace) -> None:
    (place.root / "files/app/sub").mkdir(parents=True)
    (place.root / "files/app/sub/a").write_text("a")
    (place.root / "files/motd").write_text("hello\n")
    image = Inside(place.succeeds(small, (REPOSITORY / "docs/config-examples/files.yaml").read_text()))
    assert image.text("/etc/motd") == "hello\n"
    assert image.text("/etc/sysctl.d/90-forward.conf") == "net.ipv4.ip_forward = 1\n"
    assert image.owner("/opt/app/sub") == (0o750, 0, 0) and image.owner("/opt/app/sub/a") == (0o640, 0, 0)
