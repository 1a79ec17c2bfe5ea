"""`twinroot push`: files into a registry, as one artifact."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from twinroot.cli import registry_flags
from twinroot.cli.arguments import add_global_flags
from twinroot.cli.frame import Show, run_command
from twinroot.errors import InputError
from twinroot.events import Emit

log = logging.getLogger("twinroot.cli")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `twinroot push`."""
    parser.usage = "%(prog)s [flags] FILE [FILE ...] REF"
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what to push; a COSI file alone")
    parser.add_argument("reference", metavar="REF", help="HOST/REPOSITORY, with :TAG (default: latest)")
    parser.add_argument(
        "--platform", metavar="OS/ARCH",
        help="put it into the image index of that name, beside the images for other platforms",
    )  # fmt: skip
    parser.add_argument(
        "--artifact-type", metavar="TYPE", help="the artifact type (default: that of twinroot's images)"
    )
    parser.add_argument(
        "--annotation", action="append", metavar="KEY=VALUE", help="an annotation of the manifest; may be repeated"
    )
    registry_flags.add_access_flags(parser)
    add_global_flags(parser, top=False)


def run(arguments: argparse.Namespace) -> int:
    """Push; the exit code."""
    return run_command(arguments, "nothing was pushed", lambda emit: _push(arguments, emit))


def _push(arguments: argparse.Namespace, emit: Emit) -> Show:
    from twinroot.registry.client import Client
    from twinroot.registry.media import ARTIFACT_TYPE
    from twinroot.registry.push import Push, push

    reference = registry_flags.reference(arguments.reference)
    request = Push(
        files=tuple(arguments.files),
        artifact_type=arguments.artifact_type or ARTIFACT_TYPE,
        annotations=_annotations(arguments.annotation or ()),
        platform=registry_flags.platform(arguments.platform),
    )
    with Client(reference, registry_flags.access(arguments)) as client:
        pushed = push(client, request, emit)
    log.info("Pushed %s", reference)
    return lambda: print(reference.at(pushed.digest))


def _annotations(texts: Sequence[str]) -> dict[str, str]:
    found = dict(text.partition("=")[::2] for text in texts)
    if not all(found) or any("=" not in text for text in texts):
        raise InputError("--annotation wants KEY=VALUE")
    return found
