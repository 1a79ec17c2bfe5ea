"""Flags of the commands that talk to registries."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from twinroot.errors import InputError, UsageError

if TYPE_CHECKING:
    from twinroot.config.registry_reference import Reference
    from twinroot.registry.access import Access, Trust
    from twinroot.registry.manifest import Platform


def add_access_flags(parser: argparse.ArgumentParser) -> None:
    """How registries are reached."""
    group = parser.add_argument_group("registry flags")
    group.add_argument(
        "--ca-file", type=Path, action="append", metavar="FILE",
        help="certificates (PEM) to trust besides the system's; may be repeated",
    )  # fmt: skip
    group.add_argument(
        "--plain-http", action="store_true",
        help="talk to the registry without TLS (a registry on this machine is asked which it speaks)",
    )  # fmt: skip
    group.add_argument(
        "--registry-config", type=Path, metavar="FILE",
        help="the file with credentials, in place of those that docker and podman use",
    )  # fmt: skip


def add_trust_flags(parser: argparse.ArgumentParser) -> None:
    """Whose signatures are wanted."""
    group = parser.add_argument_group("signature flags")
    group.add_argument(
        "--trust-policy", type=Path, metavar="FILE",
        help="verify signatures by this trust policy; its trust store is beside it (default: notation's own, if any)",
    )  # fmt: skip
    group.add_argument(
        "--insecure-skip-signature", action="store_true", help="use the image whoever made it; not for azureLinux"
    )


def trust(arguments: argparse.Namespace) -> Trust:
    """What the flags say."""
    from twinroot.registry.access import Trust

    return Trust(arguments.trust_policy, arguments.insecure_skip_signature)


def access(arguments: argparse.Namespace) -> Access:
    """What the flags say."""
    from twinroot.registry.access import Access

    return Access(arguments.plain_http, tuple(arguments.ca_file or ()), arguments.registry_config)


def reference(text: str) -> Reference:
    """A reference from the command line."""
    from twinroot.config.registry_reference import REFERENCE_HINT, parse_reference

    found = parse_reference(text)
    if found is None:
        raise InputError(f"{text!r} is not a registry reference", hint=REFERENCE_HINT)
    return found


def platform(text: str | None) -> Platform | None:
    """A platform from the command line."""
    from twinroot.registry.manifest import parse_platform

    return parse_platform(text) if text else None


def cache_size(text: str | None) -> int:
    """`--image-cache-size` in bytes."""
    from twinroot.config.scalars import ScalarError, disk_size
    from twinroot.registry.access import DEFAULT_LIMIT

    try:
        return disk_size(text) if text else DEFAULT_LIMIT
    except ScalarError as error:
        raise UsageError(f"--image-cache-size: {error.message}", hint=error.hint) from error
