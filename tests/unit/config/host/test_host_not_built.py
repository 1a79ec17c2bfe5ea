"""What this version cannot do yet is found in a configuration by name, and every entry of the table is a real key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.config.host.texts import FULL, SMALL

from twinroot.config.host.config import HostConfig
from twinroot.config.host.internal_params import KNOWN
from twinroot.config.host.not_built import NOT_BUILT, unbuilt
from twinroot.config.problems import show_path
from twinroot.config.shape import paths_of
from twinroot.config.uses import Pattern

KEYS = {show_path(path).replace("[0]", "[]") for path in paths_of(HostConfig)}
IN_FULL = {"storage.encryption", "storage.raid.software", "os.sysexts"}


@pytest.mark.parametrize("pattern", NOT_BUILT, ids=lambda pattern: pattern.path)
def test_the_entries_are_keys(pattern: Pattern) -> None:
    first, _, rest = pattern.path.partition(".")
    assert pattern.path in KEYS or (first == "internalParams" and rest in KNOWN)


def test_what_is_used_is_named(config_of: Callable[[str], HostConfig]) -> None:
    found = {show_path(finding.path): finding.message for finding in unbuilt(config_of(FULL))}
    assert set(found) == IN_FULL
    assert found["os.sysexts"] == "this is not built yet in this version of twinroot"


def test_verity_at_usr_is_built(config_of: Callable[[str], HostConfig]) -> None:
    assert list(unbuilt(config_of(SMALL))) == []


def test_internal_parameters_are_named_one_by_one(config_of: Callable[[str], HostConfig]) -> None:
    config = config_of("internalParams: {noTransition: true, selfUpgradeTrident: true}\ntrident: {disable: true}\n")
    assert [show_path(finding.path) for finding in unbuilt(config)] == ["internalParams.selfUpgradeTrident"]


@pytest.mark.parametrize("value", ["false", '"true"', "1"])
def test_a_switch_that_is_off_wants_nothing(config_of: Callable[[str], HostConfig], value: str) -> None:
    config = config_of(f"internalParams: {{preRebootChecks: {value}}}\ntrident: {{disable: true}}\n")
    assert list(unbuilt(config)) == []


def test_nothing_is_missing_for_nothing(config_of: Callable[[str], HostConfig]) -> None:
    assert list(unbuilt(config_of("trident: {disable: true}\n"))) == []
