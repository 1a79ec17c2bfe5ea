"""What a host must allow before an ordinary user can build, and how its absence is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import twinroot

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change what a user finds")

_ISOLATE = """
from twinroot.errors import HostError
from twinroot.sandbox.namespace import isolate
try:
    print(isolate())
except HostError as error:
    print(error.message, error.hint, sep="\\n")
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Files to stand in for the host's: a range of ids for nobody, and a device that is closed."""
    (tmp_path / "ids").write_text("nobody:100000:65536\n")
    (tmp_path / "none").write_text("")
    (tmp_path / "closed").touch(mode=0o600)
    return tmp_path


def as_nobody(host: Path, ids: str) -> str:
    """What an ordinary user hears, in a mount namespace where our files cover the host's."""
    covered = {"/etc/subuid": host / ids, "/etc/subgid": host / ids, "/dev/fuse": host / "closed"}
    if missing := [name for name in covered if not Path(name).exists()]:
        pytest.skip(f"this host has no {missing[0]} to cover")
    binds = " && ".join(f"mount --bind '{source}' {target}" for target, source in covered.items())
    words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", _ISOLATE]
    package = Path(twinroot.__file__).parent.parent
    modules = ":".join([str(package), *(path for path in sys.path if path.endswith("site-packages"))])
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": modules, "PYTHONDONTWRITEBYTECODE": "1"}
    if subprocess.run(
        [*words[:7], "-c", "import twinroot.sandbox.namespace"], env=env, cwd="/", check=False
    ).returncode:
        pytest.skip("ordinary users cannot read this checkout")
    command = ["unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh", *words]
    return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=True).stdout


def test_no_range_of_ids(host: Path) -> None:
    said = as_nobody(host, "none")
    assert "user 'nobody' has no range of 65536 ids in /etc/subuid" in said and "usermod --add-subuids" in said


def test_closed_fuse_device(host: Path) -> None:
    said = as_nobody(host, "ids")
    assert "/dev/fuse may not be opened by ordinary users on this host\nrun as root, or let root make it usable" in said
