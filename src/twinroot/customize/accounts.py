"""Changing users and groups of an image by its own programs (shadow-utils)."""

from __future__ import annotations

from collections.abc import Sequence

from twinroot.distro.distro import Distro
from twinroot.errors import CommandError, InputError
from twinroot.sandbox.chroot import Chroot

_PACKAGE = {"deb": "passwd", "rpm": "shadow-utils"}


def change_accounts(chroot: Chroot, distro: Distro, argv: Sequence[str], *, stdin: bytes | None = None) -> None:
    """Run one of shadow-utils in the image; InputError with what it said, or with the package that it is in."""
    program = argv[0]
    if not chroot.has(program):
        package = _PACKAGE[distro.packages]
        raise InputError(f"the image has no {program}", hint=f"add {package} to os.packages.install")
    try:
        chroot.run(argv, stdin=stdin)
    except CommandError as error:
        said = error.output.strip().splitlines()
        raise InputError(said[-1] if said else f"{program} failed with exit code {error.code}") from error
