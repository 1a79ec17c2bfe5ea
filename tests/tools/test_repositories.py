"""Package sources as an image sees them, attached to a tree that holds nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.isolated import isolated

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

SOURCES = """
from twinroot.distro.packages import PackageSources
from twinroot.distro.rpm_sources import attach
from twinroot.errors import TwinrootError
from twinroot.sandbox.mounts import Mounts
place = Path(sys.argv[1])
root = place / "root"
(root / "run").mkdir()
paths = tuple(place / name for name in sys.argv[2:])
with Mounts() as mounts:
    mounts.tmpfs(root / "run", "mode=755")
    try:
        attach(PackageSources(paths, True), root, place / "scratch", mounts)
    except TwinrootError as error:
        print(json.dumps([str(error), None]))
        sys.exit()
    text = (root / "run/twinroot/repositories/all.repo").read_text()
    files = sorted(str(path.relative_to(root)) for path in (root / "run/twinroot/sources").rglob("*") if path.is_file())
    print(json.dumps([text, files]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "root/etc/yum.repos.d").mkdir(parents=True)
    (tmp_path / "rpms of mine").mkdir()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/KEY").write_text("a key")
    return tmp_path


@pytest.mark.skipif(shutil.which("createrepo_c") is None, reason="needs createrepo_c")
def test_repositories_as_the_image_will_see_them(place: Path) -> None:
    (place / "root/etc/yum.repos.d/b.repo").write_text(
        "[own]\nname=Own\nBaseURL=https://x.example/%20$releasever\nname=Twice\n\n[own]\nenabled=0\n"
    )
    (place / "mine.repo").write_text(
        f"[one]\nbaseurl=file://{place}/keys https://x.example/\ngpgkey=file://{place}/keys/KEY\n"
        "[two]\nbaseurl=file+chroot:///opt/x\ngpgkey=file+rel://keys/KEY\n[own]\nbaseurl=https://y.example/\n"
    )
    (place / "other.repo").write_text(f"[three]\ngpgkey=file://{place}/keys/KEY\nbaseurl=file+rel://keys\n")
    text, files = isolated(SOURCES, place, "rpms of mine", "other.repo", "mine.repo", "mine.repo")
    inside = f"file:///run/twinroot/sources/host{place}"
    sections = {part.split("]")[0]: part.split("]")[1] for part in text.split("[")[1:]}
    assert set(sections) == {"own", "rpm-source-0", "one", "two", "three"}
    assert "name=Twice" in sections["own"] and "enabled=0" in sections["own"]
    assert "baseurl=https://y.example/" in sections["own"]
    assert f"baseurl={inside}/keys https://x.example/" in sections["one"]
    assert f"gpgkey={inside}/keys/KEY" in sections["one"] and f"gpgkey={inside}/keys/KEY" in sections["two"]
    assert "baseurl=file:///opt/x" in sections["two"]
    assert "baseurl=file:///run/twinroot/sources/0" in sections["rpm-source-0"]
    assert "run/twinroot/sources/0/repodata/repomd.xml" in files
    assert f"run/twinroot/sources/host{place}/keys/KEY" in files
    assert not any((place / "rpms of mine").iterdir())
    assert not any((place / "root/run").iterdir())


def test_one_key_for_two_sections_whichever_comes_first(place: Path) -> None:
    (place / "mine.repo").write_text(
        f"[one]\nbaseurl=https://x.example/\ngpgkey=file://{place}/keys/KEY\n"
        f"[two]\nbaseurl=https://x.example/\ngpgkey=file://{place}/keys/KEY\n[three]\nbaseurl=file://{place}/keys\n"
    )
    text, files = isolated(SOURCES, place, "mine.repo")
    assert files == [f"run/twinroot/sources/host{place}/keys/KEY"], text


@pytest.mark.parametrize(
    ("image", "mine", "message"),
    [
        (b"no section\n", "", "/etc/yum.repos.d/b.repo of the base image is not a readable .repo file"),
        (b"[a]\nname=\xff\n", "", "/etc/yum.repos.d/b.repo of the base image is not a readable .repo file"),
        (b"", "[a]\nbaseurl=file:///no/such/place\n", "file:///no/such/place does not exist"),
    ],
)
def test_unusable_repositories_are_named(place: Path, image: bytes, mine: str, message: str) -> None:
    (place / "root/etc/yum.repos.d/b.repo").write_bytes(image)
    (place / "mine.repo").write_text(mine or "[a]\nbaseurl=https://x.example/\n")
    text, _ = isolated(SOURCES, place, "mine.repo")
    assert message in text


def test_a_pipe_among_the_repositories_of_the_image(place: Path) -> None:
    os.mkfifo(place / "root/etc/yum.repos.d/b.repo")
    text, _ = isolated(SOURCES, place)
    assert "/etc/yum.repos.d/b.repo of the base image is not a readable .repo file: it is no plain file" in text


@pytest.mark.parametrize("link", ["../keys/KEY", "/nowhere/a.rpm"])
def test_packages_that_only_the_host_would_find(place: Path, link: str) -> None:
    (place / "rpms of mine/a.rpm").symlink_to(link)
    text, _ = isolated(SOURCES, place, "rpms of mine")
    assert f"{place}/rpms of mine/a.rpm: a package of --rpm-source" in text
    assert "is a symbolic link that leads out of the directory" in text
