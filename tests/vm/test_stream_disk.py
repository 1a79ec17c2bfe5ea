"""A whole image onto a blank disk: the machine that starts from it can be told what it is, and is updated then."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.vm.installer import build_installer
from tests.vm.servicing import Images, Serviced, serving, status, switch_off, url_for_guest, version

from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images, pytest.mark.packages, pytest.mark.soak, pytest.mark.timeout(2400)]

_UNIT = """
[Service]
ExecStart=
ExecStart=/usr/bin/trident stream-disk {url} --hash sha384:{sha384}
"""
_LARGER = 12 << 30
"""Bytes of the disk; the image is one of 10 GiB."""


def test_a_blank_disk_becomes_the_image(images: Images, tmp_path: Path) -> None:
    disk, variables = tmp_path / "machine.raw", tmp_path / "variables.fd"
    with disk.open("wb") as file:
        file.truncate(_LARGER)
    with serving(images.first) as server:
        unit = _UNIT.format(url=url_for_guest(server), sha384=images.first.sha384)
        installer = build_installer(tmp_path, {"trident": {"disable": True}}, unit)
        options = installer.options(variables)
        with Machine(disk, "raw", options, log_file=tmp_path / "installer.log") as machine:
            machine.wait_off(1800)
    with Serviced(tmp_path, disk, variables).switched_on() as running:
        console = running.console
        assert version(console) == "1"
        assert console.check("systemctl is-system-running --wait", timeout=300).strip() == "running"
        # The root fills its partition, and the table the disk.
        assert int(console.check("df --block-size=1M --output=size / | tail -1")) > 3500
        assert int(console.check("blockdev --getsz /dev/vda")) * 512 == _LARGER
        assert (
            console.run("sfdisk --verify /dev/vda 2>&1 | grep -i -e corrupt -e backup -e mismatch").output.strip() == ""
        )
        console.check("trident offline-initialize --disk /dev/vda")
        found = status(console)
        assert (found["servicingState"], found["abActiveVolume"]) == ("provisioned", "volume-a")
        switch_off(running)
