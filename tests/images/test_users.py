"""`os.groups` and `os.users` on the real base images, by their own shadow-utils."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.images import REPOSITORY
from tests.images.inside import Inside
from tests.images.synthetic import small_base
from tests.images.workplace import Workplace

pytestmark = pytest.mark.images

SECRET = "Correct:horse $6$ 'battery'"
# Made by: openssl passwd -6 -salt saltsalt secret
HASH = "$6$saltsalt$Wb6AdpNGSlgA1z2ZJlK3uRYw3FUxb8zZtf6OxcsfcHjUb2D0PDdhO8Fv8pVvPNdWSd1Nb9TTVvXnTXsMfnjkH0"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE one@example"
OTHER = 'no-pty,command="/bin/true" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF two@example'

CONFIG = f"""
os:
  groups:
    - {{name: operators, gid: 1500}}
    - {{name: adm}}
    - {{name: own}}
  users:
    - name: alice
      uid: 1600
      password: {{type: plain-text-file, value: alice.txt}}
      passwordExpiresDays: 30
      primaryGroup: operators
      secondaryGroups: [adm, own]
      startupCommand: /bin/bash
      sshPublicKeyPaths: [keys.pub]
      sshPublicKeys: ["{KEY}"]
    - name: bob
      homeDirectory: /srv/deep/people/bob
      password: {{type: hashed, value: {HASH}}}
      passwordExpiresDays: -1
    - {{name: bobby, password: {{type: hashed-file, value: hash.txt}}}}
    - {{name: carol, password: {{type: locked}}}}
    - {{name: dave}}
    - name: root
      password: {{type: plain-text, value: "root password"}}
      sshPublicKeys: ["{KEY}"]
    - {{name: bob, startupCommand: /usr/sbin/nologin, secondaryGroups: [operators]}}
    - {{name: alice, sshPublicKeys: ["{KEY}", '{OTHER}'], secondaryGroups: [operators]}}
"""


def _sources(place: Workplace) -> None:
    (place.root / "alice.txt").write_text(f"{SECRET}\n")
    (place.root / "hash.txt").write_text(HASH)
    (place.root / "keys.pub").write_text(f"\n{OTHER}\r\n{KEY}\n")


def _verifies(hashed: str, password: str) -> bool:
    """Whether a SHA-512 hash is that of a password, by openssl."""
    salt = hashed.split("$")[2]
    argv = ["openssl", "passwd", "-6", "-salt", salt, "-stdin"]
    return subprocess.run(argv, input=password, capture_output=True, text=True, check=True).stdout.strip() == hashed


def test_users_and_groups(os_base: Path, place: Workplace) -> None:
    _sources(place)
    log = place.root / "log"
    image = Inside(place.succeeds(os_base, CONFIG, "--log-file", log, "--log-level", "debug"))
    assert image.row("/etc/group", "operators")[2:] == ["1500", "bob,alice"]
    assert "alice" in image.row("/etc/group", "adm")[3].split(",")
    assert image.row("/etc/group", "own")[3] == "alice"
    assert image.row("/etc/passwd", "alice")[2:] == ["1600", "1500", "", "/home/alice", "/bin/bash"]
    assert image.row("/etc/passwd", "bob")[5:] == ["/srv/deep/people/bob", "/usr/sbin/nologin"]
    assert image.row("/etc/passwd", "bobby")[6] != "/usr/sbin/nologin"
    shadow = {name: image.row("/etc/shadow", name) for name in ("alice", "bob", "bobby", "carol", "dave", "root")}
    assert _verifies(shadow["alice"][1], SECRET) and _verifies(shadow["root"][1], "root password")
    assert shadow["bob"][1] == shadow["bobby"][1] == HASH
    assert shadow["carol"][1] == "*" and shadow["dave"][1] == "!"
    assert shadow["alice"][4] == "30" and shadow["alice"][7] == "", "the password expires, not the account"
    assert shadow["bob"][4] in ("", "-1") and int(shadow["alice"][2]) > 20000
    assert image.owner("/home/alice/.ssh") == (0o700, 1600, 1500)
    assert image.owner("/home/alice/.ssh/authorized_keys") == (0o600, 1600, 1500)
    assert image.text("/home/alice/.ssh/authorized_keys") == f"{OTHER}\n{KEY}\n"
    assert image.owner("/root/.ssh/authorized_keys") == (0o600, 0, 0)
    assert image.text("/home/alice/.profile") == image.text("/etc/skel/.profile")
    bob = tuple(map(int, image.row("/etc/passwd", "bob")[2:4]))
    assert image.owner("/srv/deep/people") == (0o755, 0, 0)
    assert image.owner("/srv/deep/people/bob")[1:] == bob == image.owner("/srv/deep/people/bob/.bashrc")[1:]
    assert not {"passwd.lock", "shadow.lock", "group.lock"} & set(image.names("/etc"))
    logged = log.read_text()
    assert not [secret for secret in (SECRET, HASH, "root password", shadow["root"][1]) if secret in logged]
    assert "config-1.yaml:" in logged and "holds a password as plain text" in logged


HOME = """
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      partitions:
        - {id: esp, type: esp, size: 64M}
        - {id: root, size: 3G}
        - {id: home, size: 64M}
        - {id: alice, size: 32M}
  filesystems:
    - {deviceId: esp, type: fat32, mountPoint: {path: /boot/efi, options: umask=0077}}
    - {deviceId: root, type: ext4, mountPoint: /}
    - {deviceId: home, type: ext4, mountPoint: /home}
    - {deviceId: alice, type: ext4, mountPoint: /srv/alice}
os:
  bootloader: {resetType: hard-reset}
  users:
    - {name: alice, uid: 1600, homeDirectory: /srv/alice, sshPublicKeys: [ssh-ed25519 AAAA]}
    - {name: bob, uid: 1601, sshPublicKeys: [ssh-ed25519 AAAA]}
    - {name: carol, uid: 1602, homeDirectory: /}
    - {name: dave, uid: 1603, homeDirectory: /home}
"""


def test_homes_on_filesystems_of_their_own(os_base: Path, place: Workplace) -> None:
    done = place.run(os_base, HOME)
    assert done.code == 0, done.stderr
    raw = place.out / "image"
    homes, alice = Inside(raw, 2), Inside(raw, 3)
    assert Inside(raw).names("/home") == []
    assert homes.owner("/bob")[1:] == homes.owner("/bob/.bashrc")[1:]
    assert homes.owner("/bob/.ssh/authorized_keys")[:2] == (0o600, 1601)
    assert alice.owner("/")[1] == 1600 and alice.owner("/.bashrc")[1] == 1600
    assert alice.owner("/.ssh")[:2] == (0o700, 1600)
    assert Inside(raw).owner("/")[1:] == homes.owner("/")[1:] == (0, 0), "only an empty filesystem is handed over"
    assert "the home directory / of carol was there before" in done.stderr


REFUSED = [
    ("groups: [{name: ok}, {name: adm, gid: 4}]", ["os.groups[1].gid", "'adm' exists already, with gid 4"]),
    ("groups: [{name: mine, gid: 4}]", ["os.groups[0].gid", "belongs to the group 'adm' already"]),
    ("users: [{name: root, uid: 0}]", ["os.users[0].uid", "'root' exists already, with uid 0"]),
    ("users: [{name: root, homeDirectory: /x}]", ["os.users[0].homeDirectory", "home directory '/root'"]),
    ("users: [{name: a, uid: 0}]", ["os.users[0].uid", "the uid 0 belongs to the user 'root' already"]),
    ("users: [{name: a, primaryGroup: none}]", ["os.users[0].primaryGroup", "no group 'none'", "os.groups"]),
    ("users: [{name: a, secondaryGroups: [adm, none]}]", ["os.users[0].secondaryGroups[1]", "no group 'none'"]),
    ("users: [{name: adm}]", ["os.users[0].name", "group adm exists", "primaryGroup: adm"]),
    ("users: [{name: 'a$b c'}]", ["config-1.yaml:2:18: os.users[0].name", "is no name for a user"]),
    ("users: [{name: nobody, sshPublicKeys: [ssh-rsa A]}]", ["os.users[0].sshPublicKeys", "no home directory"]),
    ("users: [{name: a, password: {type: hashed, value: hunter2}}]", ["password.value", "not a hash"]),
    ("users: [{name: a, password: {type: plain-text, value: \"hunter2\\nx\"}}]", ["password.value", "line breaks"]),
    ("users: [{name: a, password: {type: hashed-file, value: hunter2}}]", ["password.value", "not a hash"]),
    ("users: [{name: a, password: {type: plain-text-file, value: empty}}]", ["password.value", "is empty"]),
    ("users: [{name: a, password: {type: plain-text-file, value: /dev/zero}}]", ["password.value", "is not a file"]),
    ("users: [{name: a, sshPublicKeyPaths: [private]}]", ["os.users[0].sshPublicKeyPaths[0]", "a private key"]),
    ("users: [{name: a, sshPublicKeyPaths: [absent]}]", ["sshPublicKeyPaths[0]", "no such file", "absent"]),
]  # fmt: skip


@pytest.mark.parametrize(("section", "says"), REFUSED)
def test_refused_with_its_place(section: str, says: list[str], os_base: Path, place: Workplace) -> None:
    (place.root / "hunter2").write_text("hunter2-in-a-file\n")
    (place.root / "empty").write_text("\n")
    (place.root / "private").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    stderr = place.fails(os_base, f"os:\n  {section}\n", says=says)
    assert "hunter2" not in stderr.replace(str(place.root / "hunter2"), "")


@pytest.mark.parametrize("section", ["groups: [{name: a}]", "users: [{name: a}]"])
def test_an_image_without_the_programs(section: str, place: Workplace, small: Path) -> None:
    place.fails(small, f"os:\n  {section}\n", says=["os.", "[0].name", "the image has no", "add passwd to"])


def test_homes_that_lead_out_of_the_image(place: Workplace, tmp_path: Path) -> None:
    """Not below /tmp, which is in memory while images are changed."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as outside:
        victim = Path(outside)
        (victim / "eve").mkdir()

        def edit(root: Path) -> None:
            (root / "etc/passwd").write_text("eve:x:1000:1000::/home/eve:/bin/sh\n")
            (root / "etc/group").symlink_to(victim / "eve")
            (root / "home").symlink_to(victim)

        base = small_base(tmp_path / "base.raw", edit)
        image = Inside(place.succeeds(base, "os:\n  users: [{name: eve, sshPublicKeys: [ssh-rsa A]}]\n"))
        assert list((victim / "eve").iterdir()) == []
        assert image.text(f"{victim}/eve/.ssh/authorized_keys") == "ssh-rsa A\n"
        assert image.owner(f"{victim}/eve/.ssh/authorized_keys") == (0o600, 1000, 1000)


def test_the_example_of_the_reference(os_base: Path, place: Workplace) -> None:
    example = REPOSITORY / "docs/config-examples/users.yaml"
    (place.root / "keys").mkdir()
    (place.root / "keys/admin.pub").write_text(KEY)
    image = Inside(place.succeeds(os_base, example.read_text()))
    assert image.row("/etc/passwd", "admin")[2] == "1000" and image.row("/etc/shadow", "admin")[1] == "*"
    assert image.row("/etc/group", "operators")[2:] == ["1500", "admin"]
    assert image.row("/etc/passwd", "backup")[6] == "/usr/sbin/nologin"
    assert image.row("/etc/shadow", "backup")[4] == "90"
    assert image.text("/home/admin/.ssh/authorized_keys") == f"{KEY}\n"


def test_the_example_of_the_how_to(os_base: Path, place: Workplace) -> None:
    page = (REPOSITORY / "docs/how-to/users-files-scripts.md").read_text()
    script = page.split("```bash\n")[1].split("```")[0]
    for path, text in (
        ("secrets/alice", HASH), ("keys/alice.pub", KEY), ("app/data", "data"), ("scripts/own.sh", script),
        ("region-north.conf", "north\n"),
    ):  # fmt: skip
        (place.root / path).parent.mkdir(exist_ok=True)
        (place.root / path).write_text(text)
    image = Inside(place.succeeds(os_base, page.split("```yaml\n")[1].split("```")[0]))
    assert image.owner("/opt/app/data") == (0o755, 1600, 1500)
    assert image.text("/etc/motd") == "Welcome.\n" and image.text("/etc/region.conf") == "north\n"
    assert image.row("/etc/shadow", "alice")[1] == HASH
