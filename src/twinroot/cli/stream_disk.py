"""`trident stream-disk`: write an image onto a whole disk, as it is (servicing spec, section 17.5)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinroot.cli.servicing import add_reports, run_servicing
from twinroot.errors import InputError

if TYPE_CHECKING:
    from twinroot.agent.errors import ServicingError
    from twinroot.agent.remote.report import Report
    from twinroot.agent.servicing.agent import Agent

FROM_STDIN = "-"


def add(commands: Any, add_global_flags: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command to those of `trident`."""
    summary = "write an image onto a whole disk, as it is"
    text = (
        "Write the disk in an image onto a disk of this machine, and restart: partitions with their contents, and "
        "nothing else. No configuration is needed, none is applied. All that is on the disk is lost. It runs in "
        "installers only, and takes the smallest disk that is large enough, not removable and not in use, unless one "
        "is named. Also called stream-image."
    )
    command = commands.add_parser("stream-disk", aliases=["stream-image"], help=summary, description=text)
    add_image(command)
    command.add_argument("--disk", type=Path, metavar="DEVICE", help="the disk to write")
    add_reports(command)
    add_global_flags(command)
    command.set_defaults(run=_run, status=None)


def add_image(command: argparse.ArgumentParser) -> None:
    """The flags that say which image is meant."""
    command.add_argument(
        "image", metavar="IMAGE",
        help="the image: a path or a URL (https, http, oci, file); - reads it from standard input",
    )  # fmt: skip
    command.add_argument(
        "--hash", default="ignored", metavar="HASH",
        help="what the SHA-384 of its metadata must be, as sha384:… (default: ignored)",
    )  # fmt: skip


def image_url(image: str) -> str:
    """The URL of an image that a command line names; paths become whole ones. InputError for what is neither."""
    found = image
    if image == FROM_STDIN:
        found = sys.stdin.readline().strip() if sys.stdin else ""
    if not found:
        raise InputError("no image is named", hint="write its path or URL")
    if not found.isprintable():
        raise InputError("there are characters in the name of the image that cannot be seen", hint="remove them")
    return found if "://" in found else str(Path(found).absolute())


def _run(arguments: argparse.Namespace) -> int:
    from twinroot.agent.servicing.stream_disk import StreamOrder, expected_sha384, stream_disk

    def perform(agent: Agent) -> tuple[ServicingError | None, Report]:
        from twinroot.agent.remote.report import Report
        from twinroot.agent.servicing.agent import alone
        from twinroot.agent.states import ServicingType

        order = StreamOrder(image_url(arguments.image), expected_sha384(arguments.hash), arguments.disk)
        with alone(agent):
            sha384 = stream_disk(agent, order)
        return None, Report(restart=True, kind=ServicingType.CLEAN_INSTALL, image_sha384=sha384)

    return run_servicing(arguments, "the image was not written", perform)
