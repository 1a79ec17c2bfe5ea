"""What the image configuration language has and this version of twinroot cannot do yet.

Such a configuration is right, and running it ends in an error that names the keys. Whoever builds an entry takes it out
of this table. Settings for media (`iso`, `pxe`) only count for output formats that are in it themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from twinroot.config.image.config import ImageConfig
from twinroot.config.image.uses import Pattern
from twinroot.config.problems import Finding, KeyPath, quoted

_IMAGE: KeyPath = ("input", "image")
_FORMAT: KeyPath = ("output", "image", "format")

UNBUILT_FORMATS = ("iso", "pxe-dir", "pxe-tar", "baremetal-image")

NOT_BUILT = (
    Pattern("output.image.format", UNBUILT_FORMATS),
    Pattern("output.artifacts"),
    Pattern("output.selinuxPolicyPath"),
    Pattern("storage.bootType", ("legacy",)),
    Pattern("storage.verity"),
    Pattern("storage.resetPartitionsUuidsType"),
    Pattern("storage.reinitializeVerity"),
    Pattern("storage.filesystems[].type", ("xfs", "btrfs")),
    Pattern("os.additionalFiles"),
    Pattern("os.additionalDirs"),
    Pattern("os.groups"),
    Pattern("os.users"),
    Pattern("os.modules"),
    Pattern("os.overlays"),
    Pattern("os.selinux.mode"),
    Pattern("os.uki"),
    Pattern("os.packages.snapshotTime"),
    Pattern("os.packages.removePackageManager"),
    Pattern("scripts.postCustomization"),
    Pattern("scripts.finalizeCustomization"),
)


def unbuilt(config: ImageConfig, *, image_given: bool, format_given: bool) -> Iterator[Finding]:
    """Uses of what is not built yet. What the command line overrides (base image, output format) does not count."""
    overridden = [path for path, given in ((_IMAGE, image_given), (_FORMAT, format_given)) if given]
    for pattern in NOT_BUILT:
        for path, value in pattern.uses(config):
            if not any(path[: len(other)] == other for other in overridden):
                what = f"the value {quoted(str(value))}" if pattern.values else "this"
                yield Finding(path, f"{what} is not built yet in this version of twinroot")
