"""What is allowed and probably not meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.config.host.texts import FULL, SMALL, changed

from twinroot.config.host.warnings import TRIAL_SECONDS
from twinroot.errors import Problem

CASES: list[tuple[str, str, str, list[tuple[str, str]]]] = [
    (SMALL, "name: usr,", "name: usr,", []),
    (SMALL, "{id: system, size", "{id: system, type: home, size",
        [("storage.filesystems[1].mountPoint", "a partition of type home is expected at /home, not at '/'")]),
    (SMALL, "{id: other, size: 1G}", "{id: other, type: swap, size: 1G}", []),
    (FULL, "{id: state, size", "{id: state, type: srv, size",
        [("storage.filesystems[5].mountPoint", "a partition of type srv is expected at /srv")]),
    (FULL, "selinux: {mode: disabled}", "selinux: {mode: enforcing}",
        [("os.selinux.mode", "SELinux and extension images"), ("os.selinux.mode", "SELinux and a verity device at /")]),
    (FULL, "httpConnectionTimeoutSeconds", "httpConectionTimeoutSeconds",
        [("internalParams.httpConectionTimeoutSeconds", "there is no internal parameter")]),
    (FULL, "httpConnectionTimeoutSeconds: 20", "noTransition: 'true'",
        [("internalParams.noTransition", "this internal parameter is neither true nor false")]),
    (FULL, "httpConnectionTimeoutSeconds: 20", "noCloseEncryptedVolumes: true",
        [("internalParams.noCloseEncryptedVolumes", "this internal parameter has no effect: encrypted")]),
    (FULL, "name: before, runOn: [all]", "name: before", [("scripts.preServicing[0]", "this never runs")]),
    (FULL, "path: /opt/before.sh", "path: before.sh",
        [("scripts.preServicing[0].path", "'before.sh' is looked for in the directory that the agent is started in")]),
    (FULL, "runOn: [ab-update], content: 'true'", "runOn: [ab-update], path: ./a",
        [("health.checks[1].path", "'./a' is looked for in the directory that the agent is started in")]),
    (FULL, "enable: [sshd], disable: [cups]", "enable: [sshd, a, sshd.service], disable: [cups, a]", [
        ("os.services.enable[2]", "the service 'sshd' is listed twice"),
        ("os.services.disable[1]", "the service 'a' is enabled as well: it ends disabled"),
    ]),
    (FULL, "[{name: installer}]", "[{name: installer}, {name: b}, {name: installer}]",
        [("managementOs.users[2].name", "the user 'installer' is listed twice")]),
    (FULL, "name: after, runOn: [clean-install]", "name: after, runOn: [runtime-update]",
        [("scripts.postConfigure[0].runOn", "this never runs: updates of the running system run no scripts")]),
    (FULL, "name: script, runOn: [ab-update]", "name: script, runOn: [runtime-update]", []),
    (FULL, "timeoutSeconds: 5}", "timeoutSeconds: 900}",
        [("health.checks[0].timeoutSeconds", "a new system that is not committed 15 minutes after")]),
    (FULL, "name: script, runOn: [ab-update]", "name: script", [("health.checks[1]", "this never runs")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "old", "new", "expected"), CASES)
def test_warnings(
    warnings_of: Callable[[str], list[Problem]], text: str, old: str, new: str, expected: list[tuple[str, str]]
) -> None:
    found = warnings_of(changed(text, old, new))
    if text is FULL and not (expected and expected[0][0].startswith("internalParams")):
        assert [each.key for each in found if each.key.startswith("internal")] == [
            "internalParams.httpConnectionTimeoutSeconds"
        ]
        found = [each for each in found if not each.key.startswith("internal")]
    assert [
        (each.key, each.message[: len(message)]) for each, (_, message) in zip(found, expected, strict=True)
    ] == expected


def test_the_time_of_a_trial_is_that_of_its_timer() -> None:
    unit = Path(__file__).parents[4] / "packaging/units/trident-trial.timer"
    assert f"OnActiveSec={TRIAL_SECONDS // 60}min\n" in unit.read_text()
