"""/etc/image-customizer-release: which tool made the image, when, and under which id (image behaviour spec §15)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from twinroot import __version__
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


def render_release(stamp: BuildStamp) -> str:
    """The text of the file; its last line is empty."""
    return f'TOOL_VERSION="{__version__}"\nBUILD_DATE="{stamp.date}"\nIMAGE_UUID="{stamp.image_id}"\n\n'


def write_release(root: Path, stamp: BuildStamp) -> None:
    """Write the file anew."""
    place_file(root, RELEASE_FILE, render_release(stamp))
