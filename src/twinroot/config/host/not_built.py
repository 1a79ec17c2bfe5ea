"""What the language of host configurations has and this version of the agent cannot do yet.

Such a configuration is right, and servicing a machine with it ends in an error that names the keys. Whoever builds an
entry takes it out of this table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from twinroot.config.host.config import HostConfig
from twinroot.config.host.internal_params import SWITCHES, is_set
from twinroot.config.problems import Finding
from twinroot.config.uses import Pattern

STATIC = "invalid-host-configuration-static"
"""The peer's name for a configuration that can be read and not be used."""

NOT_BUILT = (
    Pattern("storage.encryption"),
    Pattern("storage.raid.software"),
    Pattern("os.sysexts"),
    Pattern("os.confexts"),
    Pattern("trident.phonehome"),
    Pattern("trident.logstream"),
    Pattern("internalParams.preRebootChecks"),
    Pattern("internalParams.reencryptOnCleanInstall"),
    Pattern("internalParams.selfUpgradeTrident"),
    Pattern("internalParams.streamSlowSpeedReportingIntervalSeconds"),
    Pattern("internalParams.streamSlowSpeedReportingThresholdMbps"),
    Pattern("internalParams.veritySignaturePaths"),
    Pattern("internalParams.waitForSystemdNetworkd"),
)


def unbuilt(config: HostConfig) -> Iterator[Finding]:
    """Uses of what is not built yet; a switch that is off is none."""
    for pattern in NOT_BUILT:
        first, _, name = pattern.path.partition(".")
        if first == "internalParams" and name in SWITCHES and not is_set(config.internal_params, name):
            continue
        yield from (replace(finding, code=STATIC) for finding in pattern.unbuilt(config))
