"""An installer for tests: an image with `trident-install-service` that a machine runs from memory.

The root filesystem of the image becomes the machine's initrd, so that no disk of its own is needed, and none is
spared. The machine's firmware starts the kernel itself.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from tests.images import BASE_RPM, agent_rpms, built, customize
from tests.vm.hardware import QUICK, SAME_ADDRESSES
from tests.vm.mounted import mounted_root

from twinroot.vm.machine import Options

_CONFIG = """
os:
  hostname: installer
  packages:
    install: [trident-install-service, trident-provisioning, veritysetup]
  services:
    enable: [trident-install]
  additionalFiles:
    - {{source: host.yaml, destination: /etc/trident/config.yaml}}
    - {{content: '', destination: /etc/fstab}}
    - {{content: {unit}, destination: /etc/systemd/system/trident-install.service.d/test.conf}}
"""
_PACK = (
    """cd "$1" && find . -xdev -not -path './boot/*' -print0 | cpio --null --quiet -o -H newc | zstd -q -3 > "$2\""""
)
_ARGUMENTS = f"console=ttyS0 net.ifnames=0 rdinit=/sbin/init {SAME_ADDRESSES}"


@dataclass(frozen=True)
class Installer:
    """The kernel and the initrd that a machine is started with."""

    kernel: Path
    initrd: Path

    def options(self, variables: Path, memory_mib: int = 4096) -> Options:
        """A machine that runs it, keeps its disk, and is off when the installer restarts it."""
        extra = ("-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", _ARGUMENTS)
        return replace(
            QUICK,
            cpus=2,  # wherever tests run, some see what two do at a time
            network=True,
            efi_variables=variables,
            memory_mib=memory_mib,
            reboots=False,
            persistent=True,
            extra=extra,
        )


def build_installer(place: Path, host_configuration: dict[str, object], unit: str = "") -> Installer:
    """An installer for a host configuration. `unit` is added to the unit that installs."""
    (place / "host.yaml").write_text(yaml.safe_dump(host_configuration))
    config, image = place / "installer.yaml", place / "installer.raw"
    config.write_text(_CONFIG.format(unit=json.dumps(unit)))
    done = customize(config, built(BASE_RPM), image, place / "build", "--rpm-source", agent_rpms())
    assert done.code == 0, done.stderr
    with mounted_root(image, place) as tree:
        kernel, initrd = place / "vmlinuz", place / "initrd"
        found = next((tree / "boot").glob("vmlinuz-*"))
        kernel.write_bytes(found.read_bytes())
        subprocess.run(["sh", "-c", _PACK, "pack", tree, initrd], check=True)
    image.unlink()
    return Installer(kernel, initrd)
