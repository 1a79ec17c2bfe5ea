"""Every rule between the fields of an image configuration, in the order of the spec's section 5."""

from __future__ import annotations

from twinroot.config.decode import Rule
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.storage_rules import STORAGE_RULES

IMAGE_RULES: tuple[Rule[ImageConfig], ...] = STORAGE_RULES
