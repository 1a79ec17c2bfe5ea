"""Without `storage` the base image keeps its disk: same partitions, same UUIDs, new content, and it boots."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.images import BASE_RPM, built, customize
from tests.vm.hardware import QUICK

from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images]

_CONFIG = """
os:
  hostname: kept
  kernelCommandLine:
    extraCommandLine: [twinroot.kept=1, norandmaps]
  packages:
    install: [lsof]
"""


def test_customised_base_with_its_own_layout_boots(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(_CONFIG)
    image = tmp_path / "kept.qcow2"
    done = customize(config, built(BASE_RPM), image, tmp_path / "build", output_format="qcow2")
    assert done.code == 0, done.stderr
    with Machine(image, "qcow2", QUICK, log_file=tmp_path / "console.log") as machine:
        console = machine.console
        console.login(timeout=600)
        assert console.run("systemctl is-system-running --wait", timeout=300).output.strip() == "running"
        assert console.check("hostname").strip() == "kept"
        assert console.check("cat /proc/cmdline").split().count("twinroot.kept=1") == 1
        console.check("rpm -q lsof")
