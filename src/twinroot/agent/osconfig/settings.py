"""Host name, machine id, kernel modules and services of a new system (servicing spec, 12.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig.blame import blaming
from twinroot.config.host.config import HostConfig
from twinroot.config.host.internal_params import is_set
from twinroot.config.host.modules import Module
from twinroot.config.host.services import Services
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import place_file, read_file
from twinroot.system.modules import apply_modules

_ERROR = "run-os-modifier"
_HOSTNAME, _MACHINE_ID = "/etc/hostname", "/etc/machine-id"


def hostname_of(config: HostConfig, current: str | None, *, ab_update: bool) -> str | None:
    """The host name to write, None to leave the image's; `current` is the machine's, which an A/B update keeps."""
    if config.os.hostname is not None:
        return config.os.hostname
    carried = ab_update and not is_set(config.internal_params, "disableHostnameCarryOver")
    return current or None if carried else None


def write_hostname(root: Path, hostname: str) -> None:
    """Write the name. A symbolic link in its place is replaced, never followed."""
    with blaming(_ERROR, "os.hostname"):
        place_file(root, _HOSTNAME, f"{hostname}\n")


def carry_machine_id(old_root: Path, new_root: Path) -> None:
    """Give the new system of an A/B update the machine id of the old one; it is the same machine to its network."""
    with blaming("copy-machine-id", "the machine id"):
        text = (read_file(old_root, _MACHINE_ID, limit=4096) or b"").decode("ascii", "replace").strip()
        if not re.fullmatch(r"[0-9a-f]{32}", text):
            raise ServicingError("copy-machine-id", f"{_MACHINE_ID} of the running system holds no machine id")
        place_file(new_root, _MACHINE_ID, f"{text}\n").chmod(0o444)


def make_machine_id(root: Path) -> None:
    """Give a system a machine id of its own: where its /etc cannot change, it would have another one at each start."""
    with blaming("create-machine-id", "the machine id"):
        place_file(root, _MACHINE_ID, f"{uuid4().hex}\n").chmod(0o444)


def set_up_modules(root: Path, modules: Sequence[Module]) -> None:
    """Configure kernel modules. ServicingError for options of a module that is disabled."""
    for module in modules:
        if module.load_mode == "disable" and module.options:
            message = f"os.modules: the module {module.name} is to be disabled, so it may not have options"
            raise ServicingError(_ERROR, message, hint="take its options away")
    with blaming(_ERROR, "os.modules"):
        apply_modules(root, modules)


def set_up_services(chroot: Chroot, services: Services) -> None:
    """Enable first, then disable, by the system's own systemctl; ServicingError naming a unit that it does not have."""
    for verb, names in (("enable", services.enable), ("disable", services.disable)):
        for name in names:
            with blaming(_ERROR, f"os.services.{verb} ({name})"):
                # `disable` of an unknown unit succeeds silently; `is-enabled` prints nothing for one.
                known = chroot.run(["systemctl", "is-enabled", "--", name], ok=range(256))
                if known.code != 0 and (not known.stdout.strip() or "not-found" in known.stdout):
                    raise ServicingError(_ERROR, f"os.services.{verb}: the image has no unit {name}")
                chroot.run(["systemctl", verb, "--", name])
