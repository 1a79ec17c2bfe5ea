"""The file in which a customisation leaves its mark in the image (image behaviour spec §15)."""

from __future__ import annotations

import re

from twinroot.base.facts import BaseFacts

RELEASE_FILE = "/etc/image-customizer-release"
_IMAGE_ID = re.compile(
    r'^IMAGE_UUID="?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"?\s*$', re.MULTILINE | re.IGNORECASE
)


def image_id(facts: BaseFacts) -> str | None:
    """The image id that the last customisation wrote, in lower case; None when there is none."""
    text = (facts.read(RELEASE_FILE) or b"").decode("utf-8", "replace")
    found = _IMAGE_ID.search(text)
    return found.group(1).lower() if found else None
