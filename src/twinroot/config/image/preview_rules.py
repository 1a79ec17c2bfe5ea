"""Which keys need which preview feature (image-config spec, sections 3 and 5). Pure functions.

The features count that the same file names: in a chain of base configurations each file is checked by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from twinroot.config.checks import Rule
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.preview_features import PreviewFeature
from twinroot.config.problems import Finding, KeyPath
from twinroot.config.uses import Pattern

_FEATURES: KeyPath = ("previewFeatures",)

GATES: tuple[tuple[PreviewFeature, Pattern], ...] = (
    ("kdump-boot-files", Pattern("iso.kdumpBootFiles")),
    ("kdump-boot-files", Pattern("pxe.kdumpBootFiles")),
    ("uki", Pattern("os.uki")),
    ("package-snapshot-time", Pattern("os.packages.snapshotTime")),
    ("remove-package-manager", Pattern("os.packages.removePackageManager")),
    ("output-artifacts", Pattern("output.artifacts")),
    ("output-selinux-policy", Pattern("output.selinuxPolicyPath")),
    ("output-artifacts", Pattern("storage.verity[].hashSignaturePath")),
    ("reinitialize-verity", Pattern("storage.reinitializeVerity")),
    ("input-image-oci", Pattern("input.image.oci")),
    ("btrfs", Pattern("storage.filesystems[].type", ("btrfs",))),
)


def gate(feature: PreviewFeature, pattern: Pattern, config: ImageConfig) -> Iterator[Finding]:
    """The uses of a key that the configuration does not unlock."""
    if feature not in config.preview_features:
        for path, _ in pattern.uses(config):
            yield needs(feature, path)


def base_configs(config: ImageConfig) -> Iterator[Finding]:
    """`baseConfigs` needs its feature even when it is an empty list."""
    if config.base_configs is not None and "base-configs" not in config.preview_features:
        yield needs("base-configs", ("baseConfigs",))


def needs(feature: PreviewFeature, path: KeyPath) -> Finding:
    """The finding for a use without the feature."""
    hint = f"add {feature} to the list previewFeatures of this file"
    return Finding(path, f"this needs the preview feature '{feature}'", hint)


PREVIEW_RULES: tuple[Rule[ImageConfig], ...] = (
    *(partial(gate, feature, pattern) for feature, pattern in GATES),
    base_configs,
)
