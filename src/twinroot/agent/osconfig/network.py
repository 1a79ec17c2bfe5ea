"""`os.netplan`: the network of a new system (servicing spec, 12.1)."""

from __future__ import annotations

import os
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig.blame import blaming
from twinroot.config.host.config import HostConfig
from twinroot.config.host.netplan import Netplan
from twinroot.config.host.normal import normal, to_yaml
from twinroot.config.host.os import Os
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import make_directory, open_new, place_file, resolve_inside

NETPLAN = "/etc/netplan/99-trident.yaml"
_CLOUD = "/etc/cloud/cloud.cfg.d"
_CLOUD_FILE = f"{_CLOUD}/99-use-trident-networking.cfg"


def netplan_text(spec: Netplan) -> str:
    """The file of netplan with a configuration."""
    return to_yaml({"network": normal(HostConfig(os=Os(netplan=spec)))["os"]["netplan"]})


def write_netplan(root: Path, spec: Netplan) -> None:
    """Write netplan's file, which nobody else may read as it may hold passwords, and keep cloud-init off the network."""
    with blaming("write-netplan-config", "os.netplan"), open_new(root, NETPLAN) as file:
        file.write(netplan_text(spec).encode("utf-8", "surrogatepass"))
        file.flush()
        os.fsync(file.fileno())
    with blaming("disable-cloud-init-networking", "os.netplan"):
        if resolve_inside(root, _CLOUD).is_dir():
            place_file(root, _CLOUD_FILE, "network: {config: disabled}\n")


def generate(chroot: Chroot) -> None:
    """Have netplan check its files and write those of its renderer; ServicingError with what it said."""
    if not chroot.has("netplan"):
        message = "os.netplan: the image has no netplan, so that nobody would read its configuration"
        raise ServicingError("generate-netplan-config", message, hint="use an image with the package netplan")
    make_directory(chroot.root, NETPLAN.rpartition("/")[0])
    with blaming("generate-netplan-config", "os.netplan"):
        chroot.run(["netplan", "generate"])
