"""What is mounted for programs of an image, and files of the image that are written on their behalf."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.isolated import isolated


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


MOUNTS = """
from twinroot.sandbox.mounts import Mounts
place = Path(sys.argv[1])
"""


def test_overlay_and_bind_with_odd_names(tmp_path: Path) -> None:
    place = tmp_path / "comma, colon: back\\slash 'quote' \"double\""
    lower = place / "lower"
    lower.mkdir(parents=True)
    (lower / "old").write_text("old")
    before = mounts()
    found = isolated(
        MOUNTS
        + """
with Mounts() as mounts:
    root = mounts.overlay(place / "lower", place / "upper", place / "work", place / "tree", unprivileged=False)
    (root / "new").write_text("new")
    (root / "old").unlink()
    below = mounts.tmpfs(root / "below", "mode=755")
    (below / "hidden").touch()
    view = mounts.bind(root, place / "view")
    read_only = mounts.bind(root, place / "ro", read_only=True)
    try:
        (read_only / "x").touch()
        error = None
    except OSError as caught:
        error = caught.errno
    temporary = mounts.bind(place / "lower", place / "temporary", temporary=True)
    found = [sorted(os.listdir(view)), os.listdir(view / "below"), error, os.listdir(temporary)]
found += [os.listdir(place / "tree"), os.listdir(place / "lower"), (place / "temporary").exists()]
print(json.dumps(found))
"""
        , place,
    )  # fmt: skip
    assert found == [["below", "new"], [], 30, ["old"], [], ["old"], False]
    assert mounts() == before


def test_an_overlay_keeps_the_attributes_of_its_root(tmp_path: Path) -> None:
    """/tmp on a filesystem of its own must stay 1777."""
    (tmp_path / "lower").mkdir()
    (tmp_path / "lower").chmod(0o1777)
    os.chown(tmp_path / "lower", 33, 44)
    os.utime(tmp_path / "lower", (1_000_000_000, 1_000_000_000))
    found = isolated(
        MOUNTS
        + """
with Mounts() as mounts:
    root = mounts.overlay(place / "lower", place / "upper", place / "work", place / "tree", unprivileged=False)
    status = root.stat()
    print(json.dumps([oct(status.st_mode), status.st_uid, status.st_gid, int(status.st_mtime)]))
"""
        , tmp_path,
    )  # fmt: skip
    assert found == ["0o41777", 33, 44, 1_000_000_000]


def test_mounts_go_when_the_process_is_killed(tmp_path: Path) -> None:
    before = mounts()
    isolated(
        MOUNTS
        + """
with Mounts() as mounts:
    mounts.tmpfs(place / "t", "mode=755")
    (place / "t/x").touch()
    os.kill(os.getpid(), 9)
"""
        , tmp_path, expect=-9,
    )  # fmt: skip
    assert mounts() == before and not any((tmp_path / "t").iterdir())


def test_files_of_the_image_are_written_inside_the_image(tmp_path: Path) -> None:
    """An image whose /etc is an absolute link must not have the host's /etc changed."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / str(outside)[1:]).mkdir(parents=True)
    outside.mkdir()
    (root / "etc").symlink_to(outside)
    found = isolated(
        """
from twinroot.customize.hostname import set_hostname
from twinroot.customize.resolv_conf import host_resolv_conf
root = Path(sys.argv[1])
set_hostname(root, "a-name")
with host_resolv_conf(root):
    pass
print("null")
""",
        root,
    )
    assert found is None and not any(outside.iterdir())
    assert (root / str(outside)[1:] / "hostname").read_bytes() == b"a-name"


RESOLV = """
from twinroot.customize.resolv_conf import host_resolv_conf
root = Path(sys.argv[1])
inside = root / "etc/resolv.conf"
try:
    with host_resolv_conf(root):
        seen = inside.read_text() if inside.exists() else None
        raise ValueError
except ValueError:
    pass
host = Path("/etc/resolv.conf")
print(json.dumps([seen, host.read_text() if host.exists() else None]))
"""


@pytest.mark.parametrize("before", ["nothing", "file", "link", "dangling"])
def test_resolv_conf_is_back_as_it_was(tmp_path: Path, before: str) -> None:
    inside = tmp_path / "etc/resolv.conf"
    inside.parent.mkdir()
    if before == "file":
        inside.write_text("nameserver 192.0.2.1\n")
        inside.chmod(0o600)
    elif before == "link":
        (tmp_path / "etc/other").write_text("x")
        inside.symlink_to("other")
    elif before == "dangling":
        inside.symlink_to("../run/systemd/resolve/stub-resolv.conf")
    seen, host = isolated(RESOLV, tmp_path)
    if host is not None:
        assert seen == host
    names = sorted(path.name for path in inside.parent.iterdir())
    assert names == {"nothing": [], "link": ["other", "resolv.conf"]}.get(before, ["resolv.conf"])
    if before == "file":
        assert inside.read_text() == "nameserver 192.0.2.1\n" and inside.stat().st_mode & 0o777 == 0o600
    elif before != "nothing":
        assert inside.is_symlink()
