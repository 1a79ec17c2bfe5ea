"""The same build as an ordinary user and as root: the same files, with the same owners, modes and capabilities."""

from __future__ import annotations

import os
import platform
import pwd
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.inside import Inside
from tests.images.synthetic import MIB, small_base
from tests.images.workplace import Workplace

pytestmark = pytest.mark.images

_CONFIG = """
os:
  hostname: changed
  kernelCommandLine: {extraCommandLine: [extra]}
  additionalFiles: [{content: text, destination: /srv/a/file, permissions: 600}]
  additionalDirs: [{source: files, destination: /srv/b}]
scripts:
  postCustomization: [{path: files/script}, {content: "! echo x 2>/dev/null > /_imageconfigs/x"}]
"""
_USERS = """
os:
  users:
    - {name: alice, uid: 1600, password: {type: plain-text, value: secret}, sshPublicKeys: [ssh-rsa A]}
"""


def _user() -> pwd.struct_passwd:
    """Some user with subordinate ids; skips the test when the host has none or does not let them work."""
    if os.geteuid() != 0:
        pytest.skip("only root can build as root to compare with")
    if platform.system() != "Linux" or not os.access("/dev/fuse", os.R_OK):
        pytest.skip("the host has no /dev/fuse")
    if (Path("/dev/fuse").stat().st_mode & 0o006) != 0o006:
        pytest.skip("/dev/fuse is not open to ordinary users")
    table = Path("/etc/subuid")
    for line in table.read_text().splitlines() if table.exists() else []:
        name, _, rest = line.partition(":")
        if rest.partition(":")[2].isdigit() and int(rest.partition(":")[2]) >= 65535:
            try:
                found = pwd.getpwnam(name)
            except KeyError:
                continue
            probe = [
                "setpriv",
                "--reuid",
                name,
                "--regid",
                str(found.pw_gid),
                "--clear-groups",
                "unshare",
                "--user",
                "true",
            ]
            if found.pw_uid and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                return found
    pytest.skip("no user of this host has 65536 subordinate ids in /etc/subuid and may make user namespaces")


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that any user can reach, which pytest's own is not."""
    directory = Path(tempfile.mkdtemp(prefix="twinroot-rootless-", dir="/var/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def _edit(root: Path) -> None:
    (root / "usr/bin/ping").write_bytes(b"\x7fELF")
    os.setxattr(root / "usr/bin/ping", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    (root / "usr/bin/su").write_bytes(b"\x7fELF")
    (root / "usr/bin/su").chmod(0o4755)
    (root / "home/user").mkdir(parents=True)
    (root / "home/user/file").write_text("mine")
    os.chown(root / "home/user/file", 1000, 1001)
    os.chown(root / "home/user", 1000, 1001)
    (root / "var/secret").write_text("secret")
    (root / "var/secret").chmod(0)
    os.link(root / "usr/bin/su", root / "usr/bin/su-too")


def _listing(image: Path) -> list[str]:
    """Every file of the root filesystem with mode, owner, size and extended attributes, without times and inodes."""
    at = f"{image}?offset={9 * MIB}"
    rows, directories = [], [""]
    while directories:
        directory = directories.pop()
        for row in _debugfs(at, f'ls -p "{directory}/"').splitlines():
            fields = row.split("/")
            if len(fields) < 7 or fields[5] in (".", "..", "lost+found"):
                continue
            path = f"{directory}/{fields[5]}"
            size = fields[6] if not fields[2].startswith("04") else ""
            rows.append(f"{path} {fields[2]} {fields[3]}:{fields[4]} {size}")
            if fields[2].startswith("04"):
                directories.append(path)
    for path in ("/usr/bin/ping", "/usr/bin/su", "/var/secret"):
        rows.append(path + _debugfs(at, f'ea_list "{path}"'))
    return sorted(rows)


def _debugfs(at: str, request: str) -> str:
    env = os.environ | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(["debugfs", "-R", request, at], capture_output=True, text=True, check=True, env=env).stdout


def _sources(place: Workplace) -> None:
    (place.root / "files").mkdir()
    (place.root / "files/script").write_text("echo made > /srv/b/made\n")
    (place.root / "files/link").symlink_to("script")
    os.utime(place.root / "files/script", (1, 1))


def _without_root(user: pwd.struct_passwd, directory: Path, base: Path, config: str) -> Path:
    """The image that an ordinary user makes of a base; skips the test when the user's Python cannot be used."""
    base.chmod(0o644)
    theirs = directory / "work"
    theirs.mkdir()
    there = Workplace(theirs)
    _sources(there)
    arguments = there.arguments(base, config)
    for path in (theirs, *theirs.rglob("*")):
        os.lchown(path, user.pw_uid, user.pw_gid)
    # The system's Python with our modules on its path: the virtual environment may lie where only root can look.
    words = ["/usr/bin/python3", "-m", "twinroot.cli.imagecustomizer", *map(str, arguments)]
    modules = [path for path in sys.path if path.endswith(("/src", "site-packages"))]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(modules), "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/"}
    if "SOURCE_DATE_EPOCH" in os.environ:
        env["SOURCE_DATE_EPOCH"] = os.environ["SOURCE_DATE_EPOCH"]
    argv = ["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups", "--", *words]
    if subprocess.run([*argv[:8], "-c", "import twinroot.cli.main"], env=env, cwd="/", check=False).returncode != 0:
        pytest.skip(f"user {user.pw_name} cannot read this checkout, or has no Python for it: {shlex.join(argv[:8])}")
    done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    there.check_clean()
    assert (there.out / "image").stat().st_uid == user.pw_uid
    return there.out / "image"


def test_same_image_without_root(open_place: Path, place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    user = _user()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    base = small_base(open_place / "base.raw", _edit)
    theirs = _without_root(user, open_place, base, _CONFIG)
    listing = _listing(theirs)
    assert any(row.startswith("/usr/bin/ping") and "security.capability" in row for row in listing)
    assert {row.split()[0] for row in listing} >= {"/srv/a/file", "/srv/b/link", "/srv/b/made"}
    _sources(place)
    image = place.succeeds(base, _CONFIG)
    assert listing == _listing(image)
    assert theirs.read_bytes() == image.read_bytes()


def test_users_without_root(open_place: Path, deb_base: Path) -> None:
    user = _user()
    base = open_place / "base.raw"
    subprocess.run(["cp", "--sparse=always", deb_base, base], check=True)
    image = Inside(_without_root(user, open_place, base, _USERS))
    assert image.row("/etc/shadow", "alice")[1].startswith("$6$")
    assert image.owner("/home/alice/.ssh/authorized_keys") == (0o600, 1600, int(image.row("/etc/passwd", "alice")[3]))
    assert image.owner("/etc/shadow")[1] == 0
