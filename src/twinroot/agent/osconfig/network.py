"""`os.netplan`: the network of a new system (servicing spec, 12.1)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig.blame import blaming
from twinroot.config.host.config import HostConfig
from twinroot.config.host.netplan import Netplan
from twinroot.config.host.normal import normal, to_yaml
from twinroot.config.host.os import Os
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import make_directory, open_new, place_file, read_file, resolve_inside
from twinroot.tools.netplan import apply

NETPLAN = "/etc/netplan/99-trident.yaml"
_CLOUD = "/etc/cloud/cloud.cfg.d"
_CLOUD_FILE = f"{_CLOUD}/99-use-trident-networking.cfg"


def netplan_text(spec: Netplan) -> str:
    """The file of netplan with a configuration."""
    return to_yaml({"network": normal(HostConfig(os=Os(netplan=spec)))["os"]["netplan"]})


def write_netplan(root: Path, spec: Netplan) -> None:
    """Write netplan's file, for root only as it may hold passwords, and keep cloud-init off the network."""
    with blaming("write-netplan-config", "os.netplan"):
        with open_new(root, f"{NETPLAN}.new") as file:
            file.write(netplan_text(spec).encode("utf-8", "surrogatepass"))
            file.flush()
            os.fsync(file.fileno())
        _place(root).with_name(f"{Path(NETPLAN).name}.new").replace(_place(root))
    with blaming("disable-cloud-init-networking", "os.netplan"):
        if resolve_inside(root, _CLOUD).is_dir():
            place_file(root, _CLOUD_FILE, "network: {config: disabled}\n")


def apply_at_runtime(spec: Netplan | None, root: Path = Path("/")) -> None:
    """Give the running system another network, or take ours away. ServicingError when that fails; then the new file
    stays.

    Whoever undoes the update applies the old configuration.
    """
    with tempfile.TemporaryDirectory(prefix="netplan_state_backup-") as state:
        before = read_file(root, NETPLAN)
        if before is not None:
            place_file(Path(state), NETPLAN, before).chmod(0o600)
        if spec is not None:
            write_netplan(root, spec)
        else:
            with blaming("remove-netplan-config", "os.netplan"):
                _place(root).unlink(missing_ok=True)
        with blaming("apply-netplan-config", "os.netplan"):
            apply(Path(state))


def _place(root: Path) -> Path:
    """Where netplan's file is in a tree; a link in its place is not followed."""
    directory, _, name = NETPLAN.rpartition("/")
    return resolve_inside(root, directory) / name


def generate(chroot: Chroot) -> None:
    """Have netplan check its files and write those of its renderer; ServicingError with what it said."""
    if not chroot.has("netplan"):
        message = "os.netplan: the image has no netplan, so that nobody would read its configuration"
        raise ServicingError("generate-netplan-config", message, hint="use an image with the package netplan")
    make_directory(chroot.root, NETPLAN.rpartition("/")[0])
    with blaming("generate-netplan-config", "os.netplan"):
        chroot.run(["netplan", "generate"])
