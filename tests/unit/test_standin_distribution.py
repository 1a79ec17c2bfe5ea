"""The deciding parts of distro-rpm: who owns a file, what a version becomes, what goes into the spec."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "distro-rpm"))

from standin.debian import bootstrap, host_sources
from standin.dpkg import DebPackage, canonical, resolve
from standin.grubcfg import probe_script
from standin.minimal_os import LAYOUT, remove_mirror
from standin.owners import Owners, rpm_name
from standin.packages import DROP, FILESYSTEM
from standin.spec import RpmPackage, evr, file_list, render
from standin.tree import Entry
from twinroot.errors import CommandError
from twinroot.tools.run import SEARCH_PATH, run


def entry(path: str, mode: int = stat.S_IFREG | 0o644, link: str | None = None) -> Entry:
    return Entry(path, mode, "root", "root", link, 0)


def directory(path: str) -> Entry:
    return entry(path, stat.S_IFDIR | 0o755)


def deb(
    name: str, *files: str, depends: tuple[tuple[str, ...], ...] = (), provides: tuple[str, ...] = ()
) -> DebPackage:
    return DebPackage(name, "1", name, "", depends, provides, frozenset(files), frozenset())


@pytest.mark.parametrize(
    ("debian", "expected"),
    [
        ("1:9.2p1-2+deb12u3", ("1", "9.2p1", "2+deb12u3")),
        ("6.1.0", ("0", "6.1.0", "1")),
        ("1.51~1+deb12u1+16.1-2~deb12u1", ("0", "1.51~1+deb12u1+16.1", "2~deb12u1")),
        ("0~2017-1227-0.3", ("0", "0~2017.1227", "0.3")),
    ],
)
def test_version(debian: str, expected: tuple[str, str, str]) -> None:
    assert evr(debian) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/lib/x", "/usr/lib/x"), ("/lib", "/lib"), ("/library/x", "/library/x"), ("/sbin/init", "/usr/sbin/init")],
)
def test_canonical_path(path: str, expected: str) -> None:
    assert canonical(path) == expected


@pytest.mark.parametrize(
    ("debian", "expected"),
    [("linux-image-6.1.0-1-cloud-amd64", "kernel"), ("iproute2", "iproute"), ("bash", "bash"), ("apt", DROP)],
)
def test_rpm_name(debian: str, expected: str) -> None:
    assert rpm_name(debian, {"iproute2": "iproute"}, frozenset(("apt",))) == expected


def test_first_installed_alternative_fulfils_a_dependency() -> None:
    packages = [
        deb("a", depends=(("missing", "b"), ("virtual",), ("nowhere",))),
        deb("b"),
        deb("c", provides=("virtual",)),
    ]
    assert resolve(packages[0], {p.name: p for p in packages}) == ["b", "c"]


def test_owners() -> None:
    packages = [deb("a", "/usr/lib/a", "/usr/lib/a/tool.py", "/usr/share", "/usr/bin/tool"), deb("b", "/usr/share")]
    entries = [
        *(directory(path) for path in ("/usr", "/usr/lib/a", "/usr/lib/a/__pycache__", "/usr/share")),
        *(entry(path) for path in ("/usr/bin/tool", "/usr/lib/a/tool.py", "/etc/loose", "/etc/ours", "/etc/fstab")),
        entry("/usr/lib/a/__pycache__/tool.cpython-311.pyc"),
        entry("/usr/lib/a/generated"),
        entry("/usr/bin/t", stat.S_IFLNK | 0o777, "/etc/alternatives/t"),
        entry("/etc/alternatives/t", stat.S_IFLNK | 0o777, "../../bin/tool"),
    ]
    owners = Owners(packages, {"a": "A", "b": "B"}, {"/etc/ours": "own"}).assign(entries)
    assert owners == {
        "/usr": FILESYSTEM,
        "/usr/lib/a": "A",
        "/usr/lib/a/__pycache__": "A",
        "/usr/lib/a/__pycache__/tool.cpython-311.pyc": "A",
        "/usr/lib/a/tool.py": "A",
        "/usr/lib/a/generated": "A",
        "/usr/share": FILESYSTEM,
        "/usr/bin/tool": "A",
        "/usr/bin/t": "A",
        "/etc/alternatives/t": "A",
        "/etc/loose": FILESYSTEM,
        "/etc/ours": "own",
        "/etc/fstab": DROP,
    }


def test_file_list_and_spec() -> None:
    package = RpmPackage("tool", "1:2-3", "100% tool", requires={"bash"}, sections={"pre": "exit 0"})
    package.entries = [
        directory("/etc/tool"),
        entry("/etc/tool/a b"),
        entry("/usr/bin/["),
        entry("/usr/bin/t%t", stat.S_IFLNK | 0o777, "["),
    ]
    package.conffiles = {"/etc/tool/a b"}
    assert file_list(package).splitlines() == [
        '%attr(0755, root, root) %dir "/etc/tool"',
        '%attr(0644, root, root) %config(noreplace) "/etc/tool/a b"',
        "%attr(0644, root, root) /usr/bin/[[]",
        '"/usr/bin/t%%t"',
    ]
    text = render([package], "/lists")
    for line in ("Epoch: 1", "Version: 2", "Release: 3", "Requires: bash", "Summary: 100%% tool", "%pre -n tool"):
        assert line in text.splitlines()


def test_host_sources_keep_only_the_suite(tmp_path: Path) -> None:
    sources = tmp_path / "sources.list.d"
    sources.mkdir()
    kept = "Types: deb\nURIs: http://mirror.invalid/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
    other = "Types: deb\nURIs: http://other.invalid/\nSuites: stable\nComponents: main\n"
    (sources / "all.sources").write_text(f"{kept}\n{other}")
    assert host_sources(tmp_path) == kept
    (sources / "all.sources").unlink()
    line = "deb [signed-by=/k.gpg] http://mirror.invalid/debian bookworm main"
    (tmp_path / "sources.list").write_text(f"{line}\ndeb http://other.invalid/ sid main\n# deb x bookworm main\n")
    assert host_sources(tmp_path) == f"{line}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's mounts are seen by others")
def test_what_a_killed_mmdebstrap_mounted_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, program = tmp_path / "root", tmp_path / "bin/mmdebstrap"
    for folder in (root, program.parent):
        folder.mkdir()
    program.write_text(f"#!/bin/sh\nmount -t tmpfs tmpfs {root}\ntouch {tmp_path}/mounted\nkill -KILL $$\n")
    program.chmod(0o755)
    monkeypatch.setenv("TWINROOT_TOOL_PATH", f"{program.parent}:{SEARCH_PATH}")
    with pytest.raises(CommandError):
        bootstrap(root, ["bash"], initramfs=False)
    assert (tmp_path / "mounted").exists()
    assert not root.is_mount()


def test_probe_answers_for_the_layout(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    probe.write_text(probe_script(LAYOUT))
    probe.chmod(0o755)
    answer = run([probe, "--device", "/dev/x", "--target=fs_uuid"]).stdout
    assert answer == f"{LAYOUT.root_uuid}\n"
    assert run([probe, "--target=fs", "/"]).stdout == "ext2\n"


def test_layout_leaves_the_last_mebibyte_free() -> None:
    table = LAYOUT.table()
    last = table.partition(2)
    assert table.offset(last) + table.size(last) == LAYOUT.disk_size - 1024 * 1024


def test_no_path_of_the_host_stays_in_the_image(tmp_path: Path) -> None:
    root, work = tmp_path / "root", Path("/somewhere/build/.scratch")
    for name in ("somewhere/build/.scratch/log", "usr"):
        (root / name).mkdir(parents=True)
    for _ in range(2):
        remove_mirror(root, work, frozenset())
        assert [path.name for path in root.iterdir()] == ["usr"]


def test_directories_of_packages_stay_in_the_image(tmp_path: Path) -> None:
    """A checkout in /tmp or /home is no reason for an image without them."""
    root, work = tmp_path / "root", Path("/tmp/checkout/build/.scratch")
    (root / "tmp/checkout/build/.scratch/log").mkdir(parents=True)
    remove_mirror(root, work, frozenset(("/tmp", "/usr")))
    assert (root / "tmp").is_dir() and not any((root / "tmp").iterdir())
