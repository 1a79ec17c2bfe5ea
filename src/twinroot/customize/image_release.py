"""/etc/image-customizer-release: which tool made the image, when, and under which id (image behaviour spec §15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from twinroot import __version__
from twinroot.errors import InputError
from twinroot.sandbox.paths import place_file

RELEASE_FILE = "/etc/image-customizer-release"


@dataclass(frozen=True)
class BuildStamp:
    """What identifies one build. `time` is in UTC."""

    time: datetime
    image_id: UUID

    @property
    def date(self) -> str:
        """The time as `YYYY-MM-DDThh:mm:ssZ`."""
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")


def build_time(environment: Mapping[str, str], now: datetime) -> datetime:
    """The time that a build counts as made at, UTC: SOURCE_DATE_EPOCH (seconds since 1970) where it is set, else now.

    InputError when the variable holds no such time.
    """
    text = environment.get("SOURCE_DATE_EPOCH")
    if not text:
        return now.astimezone(UTC)
    try:
        if not text.isdecimal():
            raise ValueError
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise InputError(
            f"the environment variable SOURCE_DATE_EPOCH is no time: {text[:40]}",
            hint="set it to seconds since 1970, for example with $(date +%s), or unset it",
        ) from None


def render_release(stamp: BuildStamp) -> str:
    """The text of the file; its last line is empty."""
    return f'TOOL_VERSION="{__version__}"\nBUILD_DATE="{stamp.date}"\nIMAGE_UUID="{stamp.image_id}"\n\n'


def write_release(root: Path, stamp: BuildStamp) -> None:
    """Write the file anew."""
    place_file(root, RELEASE_FILE, render_release(stamp))
