"""Configuring a new system: what is decided, as tables, and what is written, on small trees."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig.files import load_files, write_files
from twinroot.agent.osconfig.initrd import initrd_command
from twinroot.agent.osconfig.network import NETPLAN, apply_at_runtime, netplan_text, write_netplan
from twinroot.agent.osconfig.selinux import Mode, check_overlaid, final_mode, labelled_mounts, set_mode
from twinroot.agent.osconfig.settings import (
    carry_machine_id,
    hostname_of,
    make_machine_id,
    set_up_modules,
    write_hostname,
)
from twinroot.agent.osconfig.users import SSHD_CONFIG, SSHD_USERS, commands, sshd_files
from twinroot.config.host.config import HostConfig
from twinroot.config.host.files import AdditionalFile
from twinroot.config.host.modules import Module
from twinroot.config.host.netplan import Netplan
from twinroot.config.host.users import User
from twinroot.system.accounts import Account
from twinroot.tools.run import SEARCH_PATH

ACCOUNTS = {
    "root": Account("root", 0, 0, "/root", "/bin/bash"),
    "old": Account("old", 1000, 1000, "/home/old", "/bin/sh"),
}
GROUPS = {"root": 0, "old": 1000, "wheel": 10, "docker": 11}


def user(name: str = "new", **fields: Any) -> User:
    return User.model_validate({"name": name, **fields}, by_alias=True, by_name=False)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (user(), ["useradd --create-home -- new"]),
        (
            user(uid="1500", homeDirectory="/srv/new", primaryGroup="wheel", startupCommand="/bin/zsh"),
            ["useradd --create-home --uid 1500 --home-dir /srv/new --gid wheel --shell /bin/zsh -- new"],
        ),
        (
            user(secondaryGroups=["wheel", "11"]),
            ["useradd --create-home -- new", "usermod --append --groups wheel,11 -- new"],
        ),
        (user("old"), []),
        (user("old", uid="1000", homeDirectory="/home/old"), []),
        (
            user("old", primaryGroup="docker", startupCommand="/bin/bash", secondaryGroups=["wheel"]),
            ["usermod --gid docker --shell /bin/bash -- old", "usermod --append --groups wheel -- old"],
        ),
    ],
)
def test_accounts(wanted: User, expected: list[str]) -> None:
    assert [" ".join(argv) for argv in commands(wanted, ACCOUNTS, GROUPS)] == expected


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (user("old", uid="7"), "the user old: it exists already, with uid 1000"),
        (user("old", homeDirectory="/x"), "with the home directory /home/old"),
        (user(uid="1000"), "the uid 1000 belongs to old already"),
        (user(primaryGroup="none"), "the image has no group none"),
        (user(secondaryGroups=["wheel", "99"]), "the image has no group 99"),
    ],
)
def test_accounts_that_clash(wanted: User, message: str) -> None:
    with pytest.raises(ServicingError, match=message):
        commands(wanted, ACCOUNTS, GROUPS)


@pytest.mark.parametrize(
    ("users", "text"),
    [
        ([user("a"), user("b"), user("c", sshMode="key-only")], "DenyUsers a b\n"),
        ([user("root")], "PermitRootLogin no\n"),
        ([user("root", sshMode="key-only"), user("a")], "PermitRootLogin prohibit-password\nDenyUsers a\n"),
        ([user("a", sshMode="key-only")], ""),
    ],
)
def test_who_may_log_in(users: list[User], text: str) -> None:
    found = sshd_files(users, "Port 22\n")
    assert found == {SSHD_USERS: text, SSHD_CONFIG: f"Include {SSHD_USERS}\nPort 22\n"}
    assert sshd_files(users, found[SSHD_CONFIG]) == {SSHD_USERS: text}


def test_systems_without_sshd() -> None:
    assert sshd_files([], None) == sshd_files([], "Port 22\n") == sshd_files([user("a")], None) == {}
    for one in (user("a", sshMode="key-only"), user("a", sshPublicKeys=["ssh-ed25519 AAAA a"])):
        with pytest.raises(ServicingError, match=f"no {SSHD_CONFIG}"):
            sshd_files([one], None)
    with pytest.raises(ServicingError, match="for a pattern"):
        sshd_files([user("a*")], "")


def host(**fields: Any) -> HostConfig:
    return HostConfig.model_validate(fields, by_alias=True, by_name=False)


@pytest.mark.parametrize(
    ("config", "current", "ab_update", "expected"),
    [
        (host(os={"hostname": "new"}), "old", True, "new"),
        (host(), "old", True, "old"),
        (host(), "", True, None),
        (host(), None, True, None),
        (host(), "old", False, None),
        (host(internalParams={"disableHostnameCarryOver": "true"}), "old", True, None),
    ],
)
def test_host_names(config: HostConfig, current: str | None, ab_update: bool, expected: str | None) -> None:
    assert hostname_of(config, current, ab_update=ab_update) == expected


def test_a_host_name_is_written_in_place_of_a_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "etc").mkdir(parents=True)
    outside.write_text("mine")
    (root / "etc/hostname").symlink_to(outside)
    write_hostname(root, "new")
    assert ((root / "etc/hostname").read_text(), outside.read_text()) == ("new\n", "mine")


def test_a_machine_id_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("uninitialized\n")
    make_machine_id(tmp_path)
    first = (tmp_path / "etc/machine-id").read_text()
    make_machine_id(tmp_path)
    second = (tmp_path / "etc/machine-id").read_text()
    assert first != second and all(re.fullmatch(r"[0-9a-f]{32}\n", text) for text in (first, second))


def test_the_machine_id_is_carried_over(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for root in (old, new):
        (root / "etc").mkdir(parents=True)
    (old / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    carry_machine_id(old, new)
    assert (new / "etc/machine-id").read_bytes() == (old / "etc/machine-id").read_bytes()
    assert (new / "etc/machine-id").stat().st_mode & 0o777 == 0o444
    for text in ("uninitialized\n", ""):
        (old / "etc/machine-id").write_text(text)
        with pytest.raises(ServicingError, match="holds no machine id"):
            carry_machine_id(old, new)


def test_modules(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    modules = [Module(name="a", load_mode="always", options={"x": "1"}), Module(name="b", load_mode="disable")]
    set_up_modules(tmp_path, modules)
    found = {path.name: path.read_text() for path in (tmp_path / "etc").rglob("*.conf")}
    assert found == {
        "modules-load.conf": "a\n",
        "modules-disabled.conf": "blacklist b\n",
        "module-options.conf": "options a x=1\n",
    }
    with pytest.raises(ServicingError, match="is to be disabled"):
        set_up_modules(tmp_path, [Module(name="b", load_mode="disable", options={"x": "1"})])
    with pytest.raises(ServicingError, match="'b' is disabled in the image"):
        set_up_modules(tmp_path, [Module(name="b", options={"x": "1"})])


NETWORK = Netplan.model_validate(
    {"version": "2", "ethernets": {"eth0": {"dhcp4": "true"}}}, by_alias=True, by_name=False
)


def test_netplan(tmp_path: Path) -> None:
    (tmp_path / "etc/cloud/cloud.cfg.d").mkdir(parents=True)
    write_netplan(tmp_path, NETWORK)
    path = tmp_path / NETPLAN.lstrip("/")
    assert yaml.safe_load(path.read_text()) == {"network": {"version": 2, "ethernets": {"eth0": {"dhcp4": True}}}}
    assert path.stat().st_mode & 0o777 == 0o600
    cloud = tmp_path / "etc/cloud/cloud.cfg.d/99-use-trident-networking.cfg"
    assert yaml.safe_load(cloud.read_text()) == {"network": {"config": "disabled"}}


def test_netplan_without_cloud_init(tmp_path: Path) -> None:
    write_netplan(tmp_path, NETWORK)
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["netplan"]


def test_the_network_of_a_running_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """netplan is told where the files of before are, and shown here by what a program of that name sees."""
    root, seen, program = tmp_path / "root", tmp_path / "seen", tmp_path / "bin/netplan"
    root.mkdir()
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n{{ echo "$1 $2"; cat "$3{NETPLAN}"; }} > {seen} 2>&1; [ ! -e {tmp_path}/fail ]\n')
    program.chmod(0o755)
    monkeypatch.setenv("TWINROOT_TOOL_PATH", f"{program.parent}:{SEARCH_PATH}")
    apply_at_runtime(NETWORK, root)
    assert "No such file" in seen.read_text()
    apply_at_runtime(None, root)
    assert seen.read_text() == f"apply --state\n{netplan_text(NETWORK)}"
    assert list((root / "etc/netplan").iterdir()) == []
    (tmp_path / "fail").touch()
    with pytest.raises(ServicingError) as caught:
        apply_at_runtime(NETWORK, root)
    assert caught.value.name == "apply-netplan-config"


def test_additional_files(tmp_path: Path) -> None:
    root, source = tmp_path / "root", tmp_path / "source"
    root.mkdir()
    source.write_bytes(b"\0binary")
    source.chmod(0o4751)
    files = load_files(
        (
            AdditionalFile(destination="/opt/a/text", content="text"),
            AdditionalFile(destination="/opt/b", source=str(source)),
            AdditionalFile(destination="/opt/c", source=str(source), permissions="0600"),
        )
    )
    source.unlink()
    write_files(root, files)
    found = {path.name: (path.read_bytes(), path.stat().st_mode & 0o7777) for path in root.rglob("*") if path.is_file()}
    assert found == {"text": (b"text", 0o664), "b": (b"\0binary", 0o751), "c": (b"\0binary", 0o600)}


def test_additional_files_stay_inside_the_tree(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    root.mkdir()
    (root / "opt").symlink_to(outside)
    (root / "dir").mkdir()
    write_files(root, load_files((AdditionalFile(destination="/opt/x", content="x"),)))
    assert list(outside.iterdir()) == []
    with pytest.raises(ServicingError, match=r"os\.additionalFiles\[0\] \(/dir\)") as caught:
        write_files(root, load_files((AdditionalFile(destination="/dir", content="x"),)))
    assert caught.value.record()["error"] == "write-additional-file"


def test_additional_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("none", "No such file"), ("pipe", "no plain file"), ("", "no plain file")):
        with pytest.raises(ServicingError, match=why) as caught:
            load_files((AdditionalFile(destination="/x", source=str(tmp_path / name)),))
        assert caught.value.inner == "load-additional-file"


ENFORCING, PERMISSIVE = "SELINUX=enforcing\nSELINUXTYPE=targeted\n", "SELINUX=permissive\n"


@pytest.mark.parametrize(
    ("wanted", "config", "mode"),
    [
        (None, None, None),
        (None, ENFORCING, "enforcing"),
        (None, PERMISSIVE, "permissive"),
        (None, "# nothing\n", "disabled"),
        ("disabled", None, None),
        ("disabled", ENFORCING, "disabled"),
        ("permissive", ENFORCING, "permissive"),
        ("enforcing", PERMISSIVE, "enforcing"),
    ],
)
def test_selinux_modes(wanted: Mode | None, config: str | None, mode: Mode | None, tmp_path: Path) -> None:
    assert final_mode(wanted, config) == mode
    if config is not None:
        (tmp_path / "etc/selinux").mkdir(parents=True)
        (tmp_path / "etc/selinux/config").write_text(config)
    assert set_mode(tmp_path, wanted) == mode
    if config is not None:
        assert final_mode(None, (tmp_path / "etc/selinux/config").read_text()) == mode


def test_selinux_without_a_policy() -> None:
    for mode in ("permissive", "enforcing"):
        with pytest.raises(ServicingError, match="no SELinux policy") as caught:
            final_mode(mode, None)
        assert caught.value.name == "selinux-enabled-but-not-found"


def test_what_gets_labels() -> None:
    mounts = [("/", "ext4", True), ("/boot/efi", "vfat", True), ("/srv", "xfs", True), ("/usr", "ext4", False)]
    assert labelled_mounts(mounts) == ("/", "/srv")


@pytest.mark.parametrize(
    ("there", "debug", "expected"),
    [
        ({"dracut", "mkinitrd"}, False, "dracut --force --regenerate-all --zstd --no-hostonly"),
        ({"dracut"}, True, "dracut --force --debug -L 6 --regenerate-all --zstd --no-hostonly"),
        ({"update-initramfs"}, False, "update-initramfs -u -k all"),
        ({"mkinitrd"}, False, "mkinitrd"),
    ],
)
def test_initrds(there: set[str], debug: bool, expected: str) -> None:
    assert " ".join(initrd_command(there.__contains__, debug=debug)) == expected


def test_a_system_that_cannot_make_an_initrd() -> None:
    with pytest.raises(ServicingError, match="none of dracut"):
        initrd_command(lambda _: False)


def test_a_mode_that_an_overlay_over_etc_does_not_allow() -> None:
    for mode in (None, "disabled", "permissive"):
        check_overlaid(mode)
    with pytest.raises(ServicingError, match="cannot be enforcing") as caught:
        check_overlaid("enforcing")
    assert caught.value.inner == "root-verity-and-selinux-unsupported"
