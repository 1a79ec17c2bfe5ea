"""Name servers and proxies for programs of an image, tried with a static busybox as the image."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.isolated import OPEN_CHROOT, isolated


@pytest.fixture
def root(busybox_tree: Path) -> Path:
    return busybox_tree


LEND = (
    OPEN_CHROOT
    + """
def state(path):
    found = path.lstat()
    return [str(path.readlink()) if path.is_symlink() else path.read_text(), found.st_mode, found.st_mtime_ns]
etc = root / "etc"
etc.mkdir()
KIND
os.utime(etc, (1, 1))
before = [state(path) for path in sorted(etc.iterdir())], etc.stat().st_mtime_ns
with open_chroot(root) as chroot:
    seen = [chroot.run(["/bin/sh", "-c", "cat /etc/resolv.conf"], ok=(0, 1), network=n).stdout for n in (True, False)]
    after = [state(path) for path in sorted(etc.iterdir())], etc.stat().st_mtime_ns
    sh(chroot, "rm /etc/resolv.conf; echo own > /etc/resolv.conf", network=True)
    names = [path.name for path in etc.iterdir()]
    print(json.dumps([*seen, before == after, names, (etc / "resolv.conf").read_text()]))
"""
)


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "(etc / 'resolv.conf').write_text('old')",
        "(etc / 'resolv.conf').symlink_to('../run/systemd/resolve/stub-resolv.conf')",
    ],
    ids=["none", "file", "link to nothing"],
)
def test_the_hosts_name_servers_are_lent_with_the_network(root: Path, kind: str) -> None:
    """And what a program made of the file in the meantime stays, as a package that brings its own does."""
    lent, own, unchanged, names, left = isolated(LEND.replace("KIND", kind), root)
    assert lent == Path("/etc/resolv.conf").read_text()
    assert own == ("old" if "write_text" in kind else "")
    assert unchanged and names == ["resolv.conf"] and left == "own\n"


def test_proxies_are_named_with_the_network_alone(root: Path) -> None:
    program = """
os.environ |= {"https_proxy": "http://proxy:3128", "NO_PROXY": "localhost", "OTHER": "x"}
with open_chroot(root) as chroot:
    for network in (True, False):
        shown = chroot.run(["/bin/sh", "-c", "env"], network=network).stdout.splitlines()
        found.append(sorted(line for line in shown if "roxy" in line.lower() or "OTHER" in line))
print(json.dumps(found))
"""
    with_network, without = isolated(OPEN_CHROOT + "found = []" + program, root)
    assert with_network == ["NO_PROXY=localhost", "https_proxy=http://proxy:3128"]
    assert without == []
