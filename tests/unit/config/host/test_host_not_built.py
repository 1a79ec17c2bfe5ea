"""What this version cannot do yet is found in a configuration by name, and every entry of the table is a real key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.config.host.texts import FULL

from twinroot.config.host.config import HostConfig
from twinroot.config.host.not_built import NOT_BUILT, unbuilt
from twinroot.config.problems import show_path
from twinroot.config.shape import paths_of
from twinroot.config.uses import Pattern

KEYS = {show_path(path).replace("[0]", "[]") for path in paths_of(HostConfig)}
IN_FULL = {
    "image", "storage.disks", "storage.disks[2].adoptedPartitions", "storage.encryption", "storage.raid.software",
    "storage.abUpdate", "storage.filesystems", "storage.verity", "storage.swap", "os.netplan", "os.selinux.mode",
    "os.users", "os.additionalFiles", "os.hostname", "os.modules", "os.services.enable", "os.services.disable",
    "os.kernelCommandLine.extraCommandLine", "os.sysexts", "managementOs.users", "scripts.preServicing",
        "scripts.postConfigure",
    "health.checks", "internalParams",
}  # fmt: skip


@pytest.mark.parametrize("pattern", NOT_BUILT, ids=lambda pattern: pattern.path)
def test_the_entries_are_keys(pattern: Pattern) -> None:
    assert pattern.path in KEYS


def test_what_is_used_is_named(config_of: Callable[[str], HostConfig]) -> None:
    found = {show_path(finding.path): finding.message for finding in unbuilt(config_of(FULL))}
    assert {path for path in found if ".source" not in path} == IN_FULL
    assert found["storage.filesystems[3].source"] == "the value 'new' is not built yet in this version of twinroot"
    assert found["storage.filesystems[9].source"] == "the value 'adopted' is not built yet in this version of twinroot"
    assert found["os.netplan"] == "this is not built yet in this version of twinroot"


def test_nothing_is_missing_for_nothing(config_of: Callable[[str], HostConfig]) -> None:
    assert list(unbuilt(config_of("trident: {disable: true}\n"))) == []
