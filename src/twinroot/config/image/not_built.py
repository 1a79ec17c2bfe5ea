"""What the image configuration language has and this version of twinroot lacks.

Whoever builds an entry adds its fields to a model and takes the entry out of this table.
"""

from __future__ import annotations

from twinroot.config.decode import NotBuilt

NOT_BUILT = (
    NotBuilt("iso"),
    NotBuilt("pxe"),
    NotBuilt("scripts"),
    NotBuilt("baseConfigs"),
    NotBuilt("input.image.oci", what="kind of input"),
    NotBuilt("input.image.azureLinux", what="kind of input"),
    NotBuilt("output.artifacts"),
    NotBuilt("output.selinuxPolicyPath", what="setting"),
    NotBuilt("output.image.format", values=("iso", "pxe-dir", "pxe-tar", "baremetal-image")),
    NotBuilt("storage.bootType", values=("legacy",)),
    NotBuilt("storage.verity"),
    NotBuilt("storage.resetPartitionsUuidsType", what="setting"),
    NotBuilt("storage.reinitializeVerity", what="setting"),
    NotBuilt("storage.filesystems[].type", values=("xfs", "btrfs")),
    NotBuilt("storage.filesystems[].btrfs"),
    NotBuilt("os.additionalFiles"),
    NotBuilt("os.additionalDirs"),
    NotBuilt("os.groups"),
    NotBuilt("os.users"),
    NotBuilt("os.modules"),
    NotBuilt("os.overlays"),
    NotBuilt("os.selinux"),
    NotBuilt("os.uki"),
    NotBuilt("os.imageHistory", what="setting"),
    NotBuilt("os.packages.snapshotTime", what="setting"),
    NotBuilt("os.packages.removePackageManager", what="setting"),
)
