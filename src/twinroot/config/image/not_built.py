"""What the image configuration language has and this version of twinroot cannot do yet.

Such a configuration is right, and running it ends in an error that names the keys. Whoever builds an entry takes it out
of this table. Settings for media (`iso`, `pxe`) only count for output formats that are in it themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from twinroot.config.image.config import ImageConfig
from twinroot.config.problems import Finding, KeyPath
from twinroot.config.uses import Pattern

_IMAGE: KeyPath = ("input", "image")
_FORMAT: KeyPath = ("output", "image", "format")

UNBUILT_FORMATS = ("iso", "pxe-dir", "pxe-tar", "baremetal-image")

NOT_BUILT = (
    Pattern("output.image.format", UNBUILT_FORMATS),
    Pattern("output.artifacts"),
    Pattern("output.selinuxPolicyPath"),
    Pattern("storage.verity"),
    Pattern("storage.reinitializeVerity"),
    Pattern("os.uki"),
)


def unbuilt(config: ImageConfig, *, image_given: bool, format_given: bool) -> Iterator[Finding]:
    """Uses of what is not built yet. What the command line overrides (base image, output format) does not count."""
    overridden = [path for path, given in ((_IMAGE, image_given), (_FORMAT, format_given)) if given]
    for pattern in NOT_BUILT:
        for finding in pattern.unbuilt(config):
            if not any(finding.path[: len(other)] == other for other in overridden):
                yield finding
