"""`--rpm-source` arguments that cannot work are named before any work starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinroot.distro.rpm_sources import check_sources, host_paths
from twinroot.errors import InputError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"[a]\nname=x\n", r"section \[a\] has no baseurl"),
        (b"[a]\nbaseurl=\n", r"section \[a\] has no baseurl"),
        (b"baseurl=https://x.example/\n", "not a readable .repo file"),
        (b"[a]\nbaseurl=\xff\n", "not a readable .repo file"),
        (b"[a\nbaseurl=b\n", "not a readable .repo file"),
    ],
)
def test_bad_repo_files(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "odd name.repo"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        check_sources([tmp_path, path])
    assert "odd name.repo" in caught.value.message


def test_neither_directory_nor_repo_file(tmp_path: Path) -> None:
    (tmp_path / "x.rpm").touch()
    with pytest.raises(InputError, match=r"neither a directory nor a \.repo file"):
        check_sources([tmp_path / "x.rpm"])


def test_good_sources(tmp_path: Path) -> None:
    path = tmp_path / "a.repo"
    path.write_text("# comment\n[a]\nname = A % B\nbaseurl = https://x.example/$releasever\n")
    check_sources([tmp_path, path])
    check_sources([])


def test_a_section_that_comes_twice_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.repo"
    path.write_text("[a]\nbaseurl=file:///srv/a\nname=x\n[b]\nbaseurl=file:///srv/b\n[a]\nbaseurl=file:///srv/c\n")
    check_sources([path])
    assert host_paths(path) == ((Path("/srv/c"), Path("/srv/b")), False)


def test_repositories_of_this_host(tmp_path: Path) -> None:
    path = tmp_path / "some.repo"
    path.write_text("[a]\nbaseurl=file:///srv/a file+rel:///below/b\n[b]\nbaseurl=file+rel://c\n")
    assert host_paths(path) == ((Path("/srv/a"), tmp_path / "below/b", tmp_path / "c"), False)
    path.write_text("[a]\nbaseurl=file:///srv/a https://x.example/\n[b]\nbaseurl=file+chroot:///opt\n")
    assert host_paths(path) == ((Path("/srv/a"),), True)
