"""What the language of host configurations has and this version of the agent cannot do yet.

Such a configuration is right, and servicing a machine with it ends in an error that names the keys. Whoever builds an
entry takes it out of this table.
"""

from __future__ import annotations

from collections.abc import Iterator

from twinroot.config.host.config import HostConfig
from twinroot.config.problems import Finding
from twinroot.config.uses import Pattern

NOT_BUILT = (
    Pattern("image"),
    Pattern("storage.disks"),
    Pattern("storage.disks[].adoptedPartitions"),
    Pattern("storage.encryption"),
    Pattern("storage.raid.software"),
    Pattern("storage.abUpdate"),
    Pattern("storage.filesystems"),
    Pattern("storage.filesystems[].source", ("new", "adopted")),
    Pattern("storage.verity"),
    Pattern("storage.swap"),
    Pattern("os.netplan"),
    Pattern("os.selinux.mode"),
    Pattern("os.users"),
    Pattern("os.additionalFiles"),
    Pattern("os.hostname"),
    Pattern("os.modules"),
    Pattern("os.services.enable"),
    Pattern("os.services.disable"),
    Pattern("os.kernelCommandLine.extraCommandLine"),
    Pattern("os.sysexts"),
    Pattern("os.confexts"),
    Pattern("managementOs.netplan"),
    Pattern("managementOs.users"),
    Pattern("scripts.preServicing"),
    Pattern("scripts.postProvision"),
    Pattern("scripts.postConfigure"),
    Pattern("health.checks"),
    Pattern("trident.phonehome"),
    Pattern("trident.logstream"),
    Pattern("internalParams"),
)


def unbuilt(config: HostConfig) -> Iterator[Finding]:
    """Uses of what is not built yet."""
    return (finding for pattern in NOT_BUILT for finding in pattern.unbuilt(config))
