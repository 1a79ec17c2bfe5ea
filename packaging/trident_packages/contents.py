"""What the packages are: names, files, units, what they need. Pure data, for RPM and Debian alike (servicing spec,
section 20)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UNITS = Path(__file__).parent.parent / "units"
UNIT_DIRECTORY = "usr/lib/systemd/system"
PRIVATE = "usr/lib/trident"
"""Where the agent's own interpreter and libraries are."""


@dataclass(frozen=True)
class Package:
    """One package. Paths are relative to `/`; a folder among `paths` stands for all that is in it.

    `wanted` are units that are started without being enabled, each with the target that starts it. `requires` has
    pairs of names: RPM's and Debian's. `directories` are owned without their content.
    """

    name: str
    summary: str
    paths: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    wanted: tuple[tuple[str, str], ...] = ()
    requires: tuple[tuple[str, str], ...] = ()
    suggests: tuple[tuple[str, str], ...] = ()
    conflicts: tuple[str, ...] = ()
    needs_agent: bool = True

    @property
    def all_paths(self) -> tuple[str, ...]:
        """Its paths, those of the units among them."""
        return (*self.paths, *(f"{UNIT_DIRECTORY}/{unit}" for unit in self.units), *self.links)

    @property
    def links(self) -> tuple[str, ...]:
        """The links by which targets start units."""
        return tuple(f"{UNIT_DIRECTORY}/{target}.wants/{unit}" for unit, target in self.wanted)


def _same(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, name) for name in names)


PACKAGES = (
    Package(
        "trident",
        "Installs OS images on this machine and keeps it up to date",
        paths=(PRIVATE, "usr/bin/trident", "usr/share/doc/trident"),
        directories=("etc/trident", "var/lib/trident"),
        units=("tridentd.service", "tridentd.socket"),
        requires=(
            *_same("e2fsprogs", "util-linux", "dosfstools", "efibootmgr", "lsof", "openssl", "systemd"),
            ("shadow-utils", "passwd"),
            ("systemd-udev", "udev"),
        ),
        suggests=(
            *_same("mdadm", "tpm2-tools", "ntfs-3g"),
            ("netplan", "netplan.io"),
            ("cryptsetup", "cryptsetup-bin"),
            ("veritysetup", "cryptsetup-bin"),
            ("grub2-tools", "grub2-common"),
        ),
        needs_agent=False,
    ),
    Package(
        "trident-service",
        "Commits an update, or notices that it failed, at each boot",
        units=("trident.service", "trident-trial.service", "trident-trial.timer"),
        wanted=(("trident-trial.timer", "sysinit.target"),),
        conflicts=("trident-install-service",),
    ),
    Package(
        "trident-install-service",
        "Installs the OS image of /etc/trident/config.yaml at boot",
        units=("trident-install.service",),
        conflicts=("trident-service",),
    ),
    Package(
        "trident-provisioning",
        "Brings up the network of the host configuration",
        units=("trident-network.service",),
    ),
    Package(
        "trident-update-poll",
        "Asks a server for newer OS images, and installs them in time",
        paths=("usr/bin/trident-update-poll",),
        units=("trident-update-poll.service", "trident-update-poll.timer"),
    ),
    Package(
        "trident-static-pcrlock-files",
        "Measurements of a boot that are the same on every machine, for systemd-pcrlock",
        paths=("var/lib/pcrlock.d",),
    ),
)
