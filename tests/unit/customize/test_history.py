"""The history of an image: what is recorded, and that no secret is."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from twinroot import __version__
from twinroot.config.image.file import ConfigFile, read_file
from twinroot.customize.history import HISTORY_FILE, append_entry, recorded_config, write_history
from twinroot.customize.image_release import BuildStamp, render_release, write_release
from twinroot.errors import InputError

STAMP = BuildStamp(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), UUID("0f0e0d0c-0b0a-4908-8706-050403020100"))
CONFIG = """\
storage:
  bootType: efi
  disks:
    - partitionTableType: gpt
      partitions: [{id: esp, type: esp, size: 8M}, {id: root, size: 64M}]
  filesystems:
    - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
    - {deviceId: root, type: ext4, mountPoint: {path: /, options: }}
os:
  bootloader: {resetType: hard-reset}
  hostname: 'yes'
  packages:
    updateExistingPackages: true
    installLists: [lists/a.yaml]
    install: [c]
    remove: []
  users:
    - {name: u, uid: 1000, password: {type: plain-text, value: geheim}, sshPublicKeys: [ssh-ed25519 AAAA, two]}
    - {name: v, password: {type: hashed, value: $6$geheim}, sshPublicKeyPaths: [k.pub], passwordExpiresDays: -1}
    - {name: w, password: {type: plain-text-file, value: secret.txt}}
    - {name: x, password: {type: locked}}
  additionalFiles:
    - {source: data/one, destination: /one, permissions: 0644}
    - {content: text, destination: /two, sha256hash: from an earlier run}
  additionalDirs: [{source: data, destination: /data}]
  modules: [{name: nbd, options: {nbds_max: 4}}]
scripts:
  postCustomization: [{path: data/one, arguments: ["", a]}, {content: "true"}]
"""
ONE, TWO = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))


def config_file(directory: Path, text: str = CONFIG) -> ConfigFile:
    (directory / "lists").mkdir()
    (directory / "lists/a.yaml").write_text("packages: [a, b]")
    (directory / "data/deep").mkdir(parents=True)
    (directory / "data/one").write_text("1")
    (directory / "data/deep/two").write_text("2")
    (directory / "c.yaml").write_text(text)
    file, problems = read_file(directory / "c.yaml")
    assert not problems
    return file


def test_what_is_recorded(tmp_path: Path) -> None:
    found = recorded_config(config_file(tmp_path))
    assert found["os"] == {
        "bootloader": {"resetType": "hard-reset"},
        "hostname": "yes",
        "packages": {"updateExistingPackages": True, "install": ["a", "b", "c"]},
        "users": [
            {
                "name": "u",
                "uid": 1000,
                "password": {"type": "plain-text", "value": "[redacted]"},
                "sshPublicKeys": ["[redacted]", "[redacted]"],
            },
            {
                "name": "v",
                "password": {"type": "hashed", "value": "[redacted]"},
                "sshPublicKeyPaths": ["k.pub"],
                "passwordExpiresDays": -1,
            },
            {"name": "w", "password": {"type": "plain-text-file", "value": "secret.txt"}},
            {"name": "x", "password": {"type": "locked"}},
        ],
        "additionalFiles": [
            {"source": "data/one", "destination": "/one", "permissions": "0644", "sha256hash": ONE},
            {"content": "text", "destination": "/two"},
        ],
        "additionalDirs": [{"source": "data", "destination": "/data", "sha256hashmap": {"deep/two": TWO, "one": ONE}}],
        "modules": [{"name": "nbd", "options": {"nbds_max": "4"}}],
    }
    assert found["scripts"] == {
        "postCustomization": [{"path": "data/one", "arguments": ["", "a"], "sha256hash": ONE}, {"content": "true"}]
    }
    assert found["storage"]["disks"][0]["partitions"][1] == {"id": "root", "size": "64M"}
    assert found["storage"]["filesystems"][1]["mountPoint"] == {"path": "/"}
    assert "geheim" not in json.dumps(found) and "AAAA" not in json.dumps(found)


def test_a_recorded_configuration_is_accepted_again(tmp_path: Path) -> None:
    text = json.dumps(recorded_config(config_file(tmp_path)))
    (tmp_path / "again.yaml").write_text(text)
    assert read_file(tmp_path / "again.yaml")[1] == []


def test_it_grows_run_by_run(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    file = config_file(tmp_path, "os: {hostname: a}")
    for _ in range(2):
        write_history(root, file, STAMP)
    entry = {
        "timestamp": "2026-01-02T03:04:05Z",
        "toolVersion": __version__,
        "imageUuid": str(STAMP.image_id),
        "config": {"os": {"hostname": "a"}},
    }
    text = (root / HISTORY_FILE.lstrip("/")).read_text()
    assert json.loads(text) == [entry, entry]
    assert text.startswith('[\n {\n  "timestamp"')


@pytest.mark.parametrize("text", ["{}", "[", "nothing", "[" * 100000])
def test_a_damaged_history(text: str) -> None:
    with pytest.raises(InputError, match=r"history\.json of the base image is damaged") as caught:
        append_entry(text, {})
    assert caught.value.hint and "imageHistory: none" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_read_only_usr_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "root/usr").mkdir(parents=True)
    config_file(tmp_path, "os: {}")
    code = f"""
from pathlib import Path
from twinroot.config.image.file import read_file
from twinroot.customize.history import write_history
from twinroot.sandbox.mounts import Mounts
from twinroot.sandbox.namespace import isolate
from tests.unit.customize.test_history import STAMP
isolate()
top = Path({str(tmp_path)!r})
with Mounts() as mounts:
    mounts.bind(top / "root/usr", top / "root/usr", read_only=True)
    write_history(top / "root", read_file(top / "c.yaml")[0], STAMP)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert list((tmp_path / "root/usr").iterdir()) == []


def test_the_release_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/image-customizer-release").symlink_to("/etc/passwd")
    write_release(tmp_path, STAMP)
    assert (
        (tmp_path / "etc/image-customizer-release").read_text()
        == render_release(STAMP)
        == (
            f'TOOL_VERSION="{__version__}"\nBUILD_DATE="2026-01-02T03:04:05Z"\n'
            'IMAGE_UUID="0f0e0d0c-0b0a-4908-8706-050403020100"\n\n'
        )
    )
    assert not (tmp_path / "etc/passwd").exists()
