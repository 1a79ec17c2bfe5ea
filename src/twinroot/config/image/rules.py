"""Every rule between the objects of an image configuration, in the order of the spec's section 5."""

from __future__ import annotations

from twinroot.config.checks import Rule
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.filesystem_rules import FILESYSTEM_RULES
from twinroot.config.image.os_rules import OS_RULES, uki_compatibility
from twinroot.config.image.output_rules import OUTPUT_RULES
from twinroot.config.image.preview_rules import PREVIEW_RULES
from twinroot.config.image.storage_rules import STORAGE_RULES
from twinroot.config.image.verity_rules import VERITY_RULES

IMAGE_RULES: tuple[Rule[ImageConfig], ...] = (
    *STORAGE_RULES,
    *FILESYSTEM_RULES,
    *VERITY_RULES,
    *OS_RULES,
    *OUTPUT_RULES,
    *PREVIEW_RULES,
)
MERGED_RULES: tuple[Rule[ImageConfig], ...] = (uki_compatibility, *OUTPUT_RULES)
"""Rules that several files of a chain may break together, although each of them keeps it."""
