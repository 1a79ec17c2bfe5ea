"""`twinroot pull`: the files of an artifact in a registry."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from twinroot.cli import registry_flags
from twinroot.cli.arguments import add_global_flags
from twinroot.cli.frame import Show, run_command
from twinroot.events import Emit

log = logging.getLogger("twinroot.cli")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `twinroot pull`."""
    parser.add_argument("reference", metavar="REF", help="HOST/REPOSITORY, with :TAG (default: latest) or @DIGEST")
    parser.add_argument(
        "--platform", metavar="OS/ARCH", help="which image of an index, for example linux/arm64 (default: this host's)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="DIR", help="where the files go (default: here)"
    )
    registry_flags.add_access_flags(parser)
    registry_flags.add_trust_flags(parser)
    add_global_flags(parser, top=False)


def run(arguments: argparse.Namespace) -> int:
    """Pull; the exit code."""
    return run_command(arguments, "nothing was pulled", lambda emit: _pull(arguments, emit))


def _pull(arguments: argparse.Namespace, emit: Emit) -> Show:
    from twinroot.output.space import naming_full_disk
    from twinroot.registry.client import Client
    from twinroot.registry.pull import files_of, output_directory, pull
    from twinroot.registry.resolve import resolve
    from twinroot.registry.trust import policy_for

    reference = registry_flags.reference(arguments.reference)
    platform = registry_flags.platform(arguments.platform)
    directory = output_directory(arguments.output)
    with Client(reference, registry_flags.access(arguments)) as client:
        policy = policy_for(reference, registry_flags.trust(arguments))
        resolved = resolve(client, platform)
        if policy:
            from twinroot.registry.notation.signatures import check_signatures

            check_signatures(client, resolved, policy)
        with naming_full_disk(directory, "output directory"):
            files = pull(client, files_of(resolved, str(reference)), directory, emit)
    log.info("Pulled %s", reference.at(resolved.descriptor.digest))
    return lambda: print("\n".join(map(str, files)))
