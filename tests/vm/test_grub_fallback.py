"""grub on trial, with a default entry that fails as those of entry files do: it restarts the machine by itself.

The grub of the stand-in distribution cannot read entry files, so that an entry of its configuration stands for one.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.images import RPMS
from tests.vm.hardware import QUICK

from twinroot.agent.boot import trial
from twinroot.tools import fat
from twinroot.units import MIB
from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images]

_PACKAGE = "grub2-efi-binary-noprefix-*.rpm"
_LOADER = "boot/efi/EFI/BOOT/grubx64-noprefix.efi"
_CONFIG = """\
set timeout=1
menuentry "The old system" --id old { linux /old-kernel }
menuentry "The new system" --id new { linux /no-kernel }
set default=1
"""


def disk(place: Path, stub: str, config: str) -> Path:
    """A disk from which the firmware starts grub, which goes on to a configuration."""
    archive = subprocess.run(["rpm2cpio", next(RPMS.glob(_PACKAGE))], check=True, capture_output=True).stdout
    subprocess.run(["cpio", "-id", "--quiet"], input=archive, cwd=place, check=True)
    boot = place / "tree/EFI/BOOT"
    boot.mkdir(parents=True)
    (place / _LOADER).rename(boot / "BOOTX64.EFI")
    (boot / "grub.cfg").write_text(stub)
    (place / "tree/root.cfg").write_text(config)
    fat.make(place / "disk.raw", 64 * MIB, volume_id="1234-ABCD", tree=place / "tree")
    return place / "disk.raw"


def test_what_cannot_be_started_on_trial_restarts(tmp_path: Path) -> None:
    config = trial.with_fallback(_CONFIG)
    image = disk(tmp_path, trial.on_trial("configfile /root.cfg\n"), config)
    with Machine(image, "raw", replace(QUICK, reboots=False), log_file=tmp_path / "console.log") as machine:
        machine.wait_off(300)
        assert "/no-kernel' not found" in machine.console.text
