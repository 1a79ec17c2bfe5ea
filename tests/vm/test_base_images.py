"""The base images boot by themselves, before anything of ours has touched them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.images import BASE_DEB, BASE_RPM, built
from tests.vm.hardware import QUICK

from twinroot.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.images]


@pytest.mark.parametrize(
    ("image", "image_format", "query"), [(BASE_RPM, "vhdx", "rpm -q bash"), (BASE_DEB, "qcow2", "dpkg -s bash")]
)
def test_base_image_boots(image: Path, image_format: str, query: str, tmp_path: Path) -> None:
    with Machine(built(image), image_format, QUICK, log_file=tmp_path / "console.log") as machine:
        machine.console.login(timeout=600)
        state = machine.console.run("systemctl is-system-running --wait", timeout=240)
        failed = machine.console.check("systemctl --failed --no-legend --plain")
        assert (state.output.strip(), failed.strip()) == ("running", "")
        machine.console.check(query)
