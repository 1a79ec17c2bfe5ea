"""`previewFeatures`: names that unlock features under development (image-config spec, section 3)."""

from __future__ import annotations

from typing import Literal

PreviewFeature = Literal[
    "uki",
    "output-artifacts",
    "inject-files",
    "package-snapshot-time",
    "reinitialize-verity",
    "kdump-boot-files",
    "base-configs",
    "input-image-oci",
    "output-selinux-policy",
    "btrfs",
    "create",
    "preview-distro-version",
    "unsupported-distro-version",
    "tools-dir",
    "remove-package-manager",
]
