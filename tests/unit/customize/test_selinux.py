"""`os.selinux`: which mode an image has, and setting it."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinroot.config.image.selinux import SelinuxMode
from twinroot.customize.selinux import find_mode, mode_arguments, write_mode
from twinroot.customize.selinux_labels import add_rules, policy_name
from twinroot.distro.distro import recognise
from twinroot.errors import InputError
from twinroot.system.selinux_config import setting, with_mode

AZURE = recognise({"ID": "azurelinux", "VERSION_ID": "3.0"})
DEBIAN = recognise({"ID": "debian", "VERSION_ID": "12"})
ENFORCING = "# SELINUX= says\nSELINUX=enforcing\nSELINUXTYPE=targeted\n"
PERMISSIVE = "SELINUX=permissive # for now\n"


@pytest.mark.parametrize(
    ("line", "config", "by_default", "expected"),
    [
        ("", ENFORCING, False, "disabled"),
        ("", ENFORCING, True, "enforcing"),
        ("", PERMISSIVE, True, "permissive"),
        ("", None, True, "disabled"),
        ("", "SELINUX=disabled", True, "disabled"),
        ("", "", True, "disabled"),
        ("quiet security=selinux selinux=1", ENFORCING, False, "enforcing"),
        ("security=selinux selinux=1", PERMISSIVE, False, "permissive"),
        ("security=selinux selinux=1 enforcing=1", PERMISSIVE, False, "force-enforcing"),
        ("security=selinux selinux=1 enforcing=1", None, False, "disabled"),
        ("security=selinux selinux=1", None, False, "disabled"),
        ("selinux=1", ENFORCING, False, "disabled"),
        ("security=selinux", ENFORCING, False, "disabled"),
        ("selinux=0", ENFORCING, True, "disabled"),
        ("selinux=1 selinux=0 security=selinux", ENFORCING, True, "disabled"),
        ("security=apparmor", ENFORCING, True, "disabled"),
        ("enforcing=0", PERMISSIVE, True, "permissive"),
        ("enforcing=1", PERMISSIVE, True, "force-enforcing"),
    ],
)
def test_mode(line: str, config: str | None, by_default: bool, expected: str) -> None:
    assert find_mode(line.split(), config, by_default=by_default) == expected


@pytest.mark.parametrize("mode", ["permissive", "enforcing", "force-enforcing", "disabled"])
@pytest.mark.parametrize("by_default", [False, True])
def test_what_is_set_is_found(mode: SelinuxMode, by_default: bool) -> None:
    config = with_mode(ENFORCING, mode)
    assert find_mode(mode_arguments(mode), config, by_default=by_default) == mode


@pytest.mark.parametrize(
    ("before", "mode", "after"),
    [
        (ENFORCING, "disabled", ENFORCING.replace("=enforcing", "=disabled")),
        (ENFORCING, "force-enforcing", ENFORCING),
        (PERMISSIVE, "enforcing", "SELINUX=enforcing # for now\n"),
        ("  SELINUX = permissive\n", "enforcing", "  SELINUX = enforcing\n"),
        ("SELINUXTYPE=x", "permissive", "SELINUXTYPE=x\nSELINUX=permissive\n"),
        ("SELINUX=\n", "permissive", "SELINUX=permissive\n"),
    ],
)
def test_config(before: str, mode: SelinuxMode, after: str) -> None:
    assert with_mode(before, mode) == after
    assert setting(after, "SELINUX") == mode.removeprefix("force-")


def test_no_policy(tmp_path: Path) -> None:
    write_mode(tmp_path, "disabled", AZURE)
    assert list(tmp_path.iterdir()) == []
    for distro, package in ((AZURE, "selinux-policy and"), (DEBIAN, "selinux-policy-default and")):
        with pytest.raises(InputError, match="the image has no SELinux policy") as caught:
            write_mode(tmp_path, "permissive", distro)
        assert caught.value.hint and package in caught.value.hint


@pytest.mark.parametrize("name", ["../../x", "..", "a/b", ".hidden", "-r"])
def test_a_policy_stays_in_its_directory(name: str, tmp_path: Path) -> None:
    (tmp_path / "etc/selinux").mkdir(parents=True)
    (tmp_path / "etc/selinux/config").write_text(f"SELINUX=enforcing\nSELINUXTYPE={name}\n")
    with pytest.raises(InputError, match="names no policy"):
        policy_name(tmp_path)


def test_rules_are_added_once(tmp_path: Path) -> None:
    contexts, store = tmp_path / "etc/selinux/targeted/contexts/files", tmp_path / "var/lib/selinux/targeted/active"
    for directory in (contexts, store):
        directory.mkdir(parents=True)
    (contexts / "file_contexts.subs").write_text("/a /b")
    (contexts / "file_contexts.local.bin").touch()
    for _ in range(2):
        add_rules(tmp_path, ["/u /etc"], ["/w x"])
    assert {path.name: path.read_text() for path in contexts.iterdir()} == {
        "file_contexts.subs": "/a /b\n/u /etc\n",
        "file_contexts.local": "/w x\n",
    }
    assert (store / "file_contexts.local").read_text() == "/w x\n"
