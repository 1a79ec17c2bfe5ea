"""Users, services and scripts of a new system by its own programs: those of this host, over an overlay of its root."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.isolated import isolated

from twinroot.tools.run import first_available

pytestmark = pytest.mark.skipif(
    first_available(["useradd"]) is None or first_available(["systemctl"]) is None, reason="needs shadow and systemd"
)

BEFORE = """
import json, sys
from pathlib import Path
from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig.initrd import regenerate_initrd
from twinroot.agent.osconfig.network import generate
from twinroot.agent.osconfig.selinux import relabel
from twinroot.agent.osconfig.settings import set_up_services
from twinroot.agent.osconfig.users import set_up_users
from twinroot.agent.scripts import environment_of, load, run_in_target
from twinroot.agent.states import ServicingType
from twinroot.config.host.scripts import Script
from twinroot.config.host.services import Services
from twinroot.config.host.users import User
from twinroot.errors import CommandError
from twinroot.sandbox.chroot import open_chroot
from twinroot.sandbox.mounts import Mounts

def read(model, data):
    return model.model_validate(data, by_alias=True, by_name=False)

def error(act):
    try:
        act()
    except ServicingError as caught:
        return [caught.name, caught.message]

place = Path(sys.argv[1])
with Mounts() as mounts:
    memory = mounts.tmpfs(place / "memory", "mode=755")
    root = mounts.overlay(Path("/"), memory / "upper", memory / "work", place / "root", unprivileged=False)
    with open_chroot(root) as chroot:
        found = {}
"""


def run(code: str, place: Path) -> Any:
    body = "".join(f"        {line}\n" for line in code.strip().splitlines())
    return isolated(f"{BEFORE}{body}        print(json.dumps(found))\n", place)


def test_users(tmp_path: Path) -> None:
    found = run(
        """
(root / "etc/ssh").mkdir(exist_ok=True)
(root / "etc/ssh/sshd_config").write_text("Port 22\\n")
key = "ssh-ed25519 AAAA me"
users = [
    {"name": "twin-a", "uid": "47110", "homeDirectory": "/srv/deep/home", "sshPublicKeys": [key], "sshMode":
    "key-only"}, {"name": "twin-b", "secondaryGroups": ["tty"]},
]
for _ in range(2):
    set_up_users(chroot, [read(User, user) for user in users])
home = root / "srv/deep/home"
found["uid"] = home.stat().st_uid
keys = home / ".ssh/authorized_keys"
found["keys"] = [keys.read_text(), keys.stat().st_uid, oct(keys.stat().st_mode & 0o777)]
found["group"] = [line for line in (root / "etc/group").read_text().splitlines() if line.startswith("tty:")][0]
found["sshd"] = (root / "etc/ssh/sshd_config").read_text()
found["who"] = (root / "etc/ssh/sshd_config.d/global_user.conf").read_text()
found["locked"] = [l.split(":")[1][:1] for l in (root / "etc/shadow").read_text().splitlines() if l.startswith("twin-")]
found["error"] = error(lambda: set_up_users(chroot, [read(User, {"name": "twin-c", "primaryGroup": "nobody-has"})]))
bad = {"name": "twin-a", "sshPublicKeys": ["-----BEGIN OPENSSH PRIVATE KEY-----"]}
found["private"] = error(lambda: set_up_users(chroot, [read(User, bad)]))
""",
        tmp_path,
    )
    assert found["uid"] == 47110
    assert found["keys"] == ["ssh-ed25519 AAAA me\n", 47110, "0o600"]
    assert found["group"].endswith("twin-b")
    assert found["sshd"] == "Include /etc/ssh/sshd_config.d/global_user.conf\nPort 22\n"
    assert found["who"] == "DenyUsers twin-b\n"
    assert found["locked"] == ["!", "!"]
    assert found["error"][0] == "set-up-users"
    assert "no group nobody-has" in found["error"][1]
    assert "os.users[0] (twin-a): this is a private key" in found["private"][1]


def test_services(tmp_path: Path) -> None:
    found = run(
        """
unit = root / "etc/systemd/system/twin.service"
unit.write_text("[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n")
link = root / "etc/systemd/system/multi-user.target.wants/twin.service"
set_up_services(chroot, Services(enable=("twin",)))
found["enabled"] = link.is_symlink()
set_up_services(chroot, Services(disable=("twin.service",)))
found["disabled"] = not link.is_symlink()
unknown = [Services(enable=("no-such",)), Services(disable=("no-such",))]
found["errors"] = [error(lambda: set_up_services(chroot, services)) for services in unknown]
""",
        tmp_path,
    )
    assert (found["enabled"], found["disabled"]) == (True, True)
    assert found["errors"] == [
        ["run-os-modifier", f"os.services.{verb}: the image has no unit no-such"] for verb in ("enable", "disable")
    ]


def test_scripts_in_the_new_root(tmp_path: Path) -> None:
    found = run(
        """
text = 'echo "$SERVICING_TYPE $TARGET_ROOT $1" > /etc/twin-was-here; [ -z "$FAIL" ] || { echo bad; exit 9; }'
script = read(Script, {"runOn": ["ab-update"], "content": text, "arguments": ["two words"]})
(loaded,) = load([script], "scripts.postConfigure", ServicingType.AB_UPDATE)
environment = environment_of(script, ServicingType.AB_UPDATE, "/")
run_in_target(chroot, loaded, environment)
found["wrote"] = (root / "etc/twin-was-here").read_text()
try:
    run_in_target(chroot, loaded, environment | {"FAIL": "1"})
except CommandError as caught:
    found["failed"] = [caught.code, caught.output.strip()]
found["left"] = [path.name for path in (root / "tmp").iterdir()]
""",
        tmp_path,
    )
    assert found == {"wrote": "ab_update / two words\n", "failed": [9, "bad"], "left": []}
    assert not Path("/etc/twin-was-here").exists()


def test_what_the_system_lacks(tmp_path: Path) -> None:
    found = run(
        """
for name in ("netplan", "dracut", "update-initramfs", "mkinitrd", "setfiles"):
    for directory in ("usr/sbin", "usr/bin", "usr/local/bin", "usr/local/sbin"):
        (root / directory / name).unlink(missing_ok=True)
found["netplan"] = error(lambda: generate(chroot))
found["initrd"] = error(lambda: regenerate_initrd(chroot))
found["selinux"] = error(lambda: relabel(chroot, ["/"]))
""",
        tmp_path,
    )
    assert [found[name][0] for name in ("netplan", "initrd", "selinux")] == [
        "generate-netplan-config", "regenerate-initrd", "selinux-enabled-but-not-found",
    ]  # fmt: skip
