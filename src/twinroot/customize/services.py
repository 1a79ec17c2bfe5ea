"""`os.services`: enabling and disabling units with the image's own systemctl (image behaviour spec §14)."""

from __future__ import annotations

from twinroot.config.image.services import Services
from twinroot.errors import CommandError, InputError
from twinroot.sandbox.chroot import Chroot


def apply_services(chroot: Chroot, services: Services) -> None:
    """Enable first, then disable; InputError naming a service that the image does not have."""
    for verb, names in (("enable", services.enable), ("disable", services.disable)):
        for name in names:
            _check_known(chroot, verb, name)
            try:
                chroot.run(["systemctl", verb, "--", name])
            except CommandError as error:
                cause = error.output.strip().splitlines()[-1:] or ["systemctl gave no reason"]
                raise InputError(f"os.services.{verb}: service '{name}' cannot be {verb}d: {cause[0]}") from error


def _check_known(chroot: Chroot, verb: str, name: str) -> None:
    """`systemctl disable` of an unknown unit succeeds silently; `is-enabled` prints nothing for one."""
    result = chroot.run(["systemctl", "is-enabled", "--", name], ok=range(256))
    if result.code != 0 and (not result.stdout.strip() or "not-found" in result.stdout):
        raise InputError(
            f"os.services.{verb}: the image has no service '{name}'",
            hint="check the spelling, and that os.packages installs the package that brings it",
        )
