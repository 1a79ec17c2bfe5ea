"""`os.selinux`: the mode, on the kernel command line and in /etc/selinux/config (image behaviour spec §19).

The command line decides first: whether SELinux is on, and whether the policy is enforced whatever the file says.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twinroot.config.image.selinux import SelinuxMode
from twinroot.distro.distro import Distro
from twinroot.errors import InputError
from twinroot.sandbox.paths import place_file, read_text
from twinroot.system.selinux_config import CONFIG, setting, with_mode

ARGUMENT_NAMES = ("security", "selinux", "enforcing")
_ON = ("security=selinux", "selinux=1")
_POLICY_PACKAGES = {"rpm": "selinux-policy and policycoreutils", "deb": "selinux-policy-default and policycoreutils"}


def mode_arguments(mode: SelinuxMode) -> tuple[str, ...]:
    """The kernel arguments of a mode."""
    match mode:
        case "disabled":
            return ("selinux=0",)
        case "force-enforcing":
            return (*_ON, "enforcing=1")
        case _:
            return _ON


def find_mode(arguments: Sequence[str], config: str | None, *, by_default: bool) -> SelinuxMode:
    """The mode of an image with these kernel arguments and this /etc/selinux/config (None: there is none).

    `by_default`: the kernel has SELinux on without being told. Of several values for a name the last counts.
    """
    given = {name: value for name, _, value in (argument.partition("=") for argument in arguments)}
    security, switch = given.get("security"), given.get("selinux")
    told = switch == "1" and security == "selinux"
    tolerated = by_default and switch != "0" and security in (None, "selinux")
    written = setting(config or "", "SELINUX")
    if not (told or tolerated) or written not in ("enforcing", "permissive"):
        return "disabled"
    if given.get("enforcing") == "1":
        return "force-enforcing"
    return "enforcing" if written == "enforcing" else "permissive"


def current_mode(root: Path, arguments: Sequence[str], distro: Distro) -> SelinuxMode:
    """The mode of an image tree whose kernel gets these arguments."""
    return find_mode(arguments, read_text(root, CONFIG), by_default=distro.selinux_by_default)


def write_mode(root: Path, mode: SelinuxMode, distro: Distro) -> None:
    """Set the mode in /etc/selinux/config. InputError when SELinux is to be on, and the image has no policy."""
    config = read_text(root, CONFIG)
    if config is not None:
        place_file(root, CONFIG, with_mode(config, mode), follow=True)
    elif mode != "disabled":
        raise missing_policy(CONFIG, distro)


def missing_policy(path: str, distro: Distro) -> InputError:
    """What to say when a file of the policy is not there."""
    return InputError(
        f"os.selinux: the image has no SELinux policy ({path} is missing)",
        hint=f"add {_POLICY_PACKAGES[distro.packages]} to os.packages.install, or set os.selinux.mode: disabled",
    )
