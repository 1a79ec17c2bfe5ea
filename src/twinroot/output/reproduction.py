"""Whether two builds gave the same file, and if not, where they differ first: partition, file, bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twinroot.errors import InputError
from twinroot.events import Emit, phase
from twinroot.output.compare import ALL_TIMES, compare_images
from twinroot.output.contents import ByteDifference, first_difference, whole_file
from twinroot.output.difference import ImageDifference
from twinroot.output.disk import DISK_FORMATS

# In the others qemu-img puts the blocks of the disk where they come first, which its threads decide.
REPRODUCIBLE_FORMATS = ("cosi", "raw", "vhd-fixed")


@dataclass(frozen=True)
class NotReproduced:
    """Two outputs of the same inputs that are not the same.

    `at` is the first byte of the files that differs. `found` is what differs in the images; it may be nothing, where
    only the blocks lie in other places or the archive differs.
    """

    at: ByteDifference
    found: ImageDifference


def check_format(output_format: str) -> None:
    """InputError for a format whose files are not the same for the same disk; customize knows which are formats."""
    if output_format in DISK_FORMATS and output_format not in REPRODUCIBLE_FORMATS:
        raise InputError(
            f"files of the format {output_format} are never the same twice: qemu-img writes them in any order",
            hint=f"use one of {', '.join(REPRODUCIBLE_FORMATS)}; what such a file holds is the same as in raw",
        )


def compare_builds(first: Path, second: Path, scratch: Path, emit: Emit) -> NotReproduced | None:
    """None when both files have the same bytes."""
    with phase(emit, "compare-bytes", "Comparing the two images", unit="step"):
        at = first_difference(whole_file(first), whole_file(second))
    if at is None:
        return None
    return NotReproduced(at, compare_images(first, second, scratch, emit, times=ALL_TIMES, exact=True))
