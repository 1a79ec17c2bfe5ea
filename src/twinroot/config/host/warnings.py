"""What is allowed and probably not meant. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from twinroot.config.checks import Rule
from twinroot.config.host.config import HostConfig
from twinroot.config.host.internal_params import KNOWN, SWITCHES, WITHOUT_EFFECT
from twinroot.config.host.partition_rules import expected_mounts
from twinroot.config.host.scripts import RunsOn, Script
from twinroot.config.host.storage_rules import root_verity
from twinroot.config.problems import Finding, KeyPath, did_you_mean, quoted
from twinroot.config.repeats import repeated_services, repeats

TRIAL_SECONDS = 15 * 60
"""Time that trident-trial.timer gives a new system."""

_MODE: KeyPath = ("os", "selinux", "mode")


def selinux(config: HostConfig) -> Iterator[Finding]:
    """SELinux with what it does not work with."""
    if config.os.selinux.mode in (None, "disabled"):
        return
    if config.os.sysexts or config.os.confexts:
        yield Finding(_MODE, "SELinux and extension images do not work together", "use mode: disabled")
    if root_verity(config.storage):
        yield Finding(_MODE, "SELinux and a verity device at / do not work together", "use mode: disabled")


def internal_params(config: HostConfig) -> Iterator[Finding]:
    """Internal parameters are no promise, and some do nothing."""
    for name, value in config.internal_params.items():
        path: KeyPath = ("internalParams", name)
        if name in SWITCHES and not isinstance(value, bool):
            message = "this internal parameter is neither true nor false, and so it is off"
            yield Finding(path, message, "write true or false, without quotes")
        elif name in WITHOUT_EFFECT:
            yield Finding(path, f"this internal parameter has no effect: {WITHOUT_EFFECT[name]}", "remove it")
        elif name in KNOWN:
            yield Finding(path, "this is an internal parameter, which may change or go away")
        else:
            yield Finding(path, f"there is no internal parameter {quoted(name)}", did_you_mean(name, KNOWN))


def relative_paths(config: HostConfig) -> Iterator[Finding]:
    """Scripts whose place depends on where the agent is started, which for its units is no place of theirs.

    Of the other scripts, relative paths are errors.
    """
    listed: tuple[tuple[KeyPath, tuple[Script, ...]], ...] = (
        (("scripts", "preServicing"), config.scripts.pre_servicing),
        (("health", "checks"), config.health.checks),
    )
    for path, found in listed:
        for index, script in enumerate(found):
            if script.path is not None and not script.path.startswith("/"):
                message = f"{quoted(script.path)} is looked for in the directory that the agent is started in"
                yield Finding((*path, index, "path"), message, "write an absolute path")


def listed_twice(config: HostConfig) -> Iterator[Finding]:
    """What the peer accepts twice; users of the target OS are in the rules."""
    yield from repeated_services(("os", "services"), config.os.services)
    names = [user.name for user in config.management_os.users]
    hint = "put everything into one entry"
    yield from repeats(("managementOs", "users"), names, "user", hint, key=("name",))


def never_runs(config: HostConfig) -> Iterator[Finding]:
    """What runs in no kind of servicing."""
    listed: tuple[tuple[KeyPath, tuple[RunsOn, ...]], ...] = (
        (("scripts", "preServicing"), config.scripts.pre_servicing),
        (("scripts", "postProvision"), config.scripts.post_provision),
        (("scripts", "postConfigure"), config.scripts.post_configure),
        (("health", "checks"), config.health.checks),
    )
    hint = "write for example runOn: [all]"
    for path, found in listed:
        for index, each in enumerate(found):
            if not each.run_on:
                yield Finding((*path, index), "this never runs: 'runOn' is empty", hint)
            elif path[0] == "scripts" and set(each.run_on) == {"runtime-update"}:
                message = "this never runs: updates of the running system run no scripts"
                yield Finding((*path, index, "runOn"), message, hint)


def slow_checks(config: HostConfig) -> Iterator[Finding]:
    """A new system is restarted into the old one when it was not committed in time, whatever still waits."""
    for index, each in enumerate(config.health.checks):
        if each.timeout >= TRIAL_SECONDS and {"ab-update", "all"}.intersection(each.run_on):
            path: KeyPath = ("health", "checks", index, "timeoutSeconds")
            message = f"a new system that is not committed {TRIAL_SECONDS // 60} minutes after its start is given up"
            hint = "set a longer time in /etc/systemd/system/trident-trial.timer.d/time.conf of the image"
            yield Finding(path, message, hint)


WARNINGS: tuple[Rule[HostConfig], ...] = (
    expected_mounts,
    selinux,
    internal_params,
    relative_paths,
    listed_twice,
    never_runs,
    slow_checks,
)
