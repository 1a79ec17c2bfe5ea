"""What trident-trial.service takes for a trial."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from tests.images import REPOSITORY

from twinroot.agent.boot.trial import ARGUMENTS
from twinroot.agent.boot.ukis import SELECTED, trial_entry
from twinroot.formats.efi_boot import write_text

UNIT = REPOSITORY / "packaging/units/trident-trial.service"
KERNEL = "vmlinuz-100-azla0.efi"


@pytest.mark.parametrize(
    ("command_line", "selected", "trial"),
    [
        ("root=UUID=1 quiet", None, False),
        (f"root=UUID=1 {ARGUMENTS}", None, True),
        ("root=UUID=1 quiet", KERNEL, False),
        ("root=UUID=1 quiet", trial_entry(KERNEL), True),
        (f"root=UUID=1 {ARGUMENTS}", trial_entry(KERNEL), True),
    ],
)
def test_what_is_a_trial(tmp_path: Path, command_line: str, selected: str | None, trial: bool) -> None:
    (tmp_path / "cmdline").write_text(command_line)
    variable = f"/sys/firmware/efi/efivars/{SELECTED.file_name}"
    if selected:
        (tmp_path / "selected").write_bytes(b"\6\0\0\0" + write_text(selected))
    condition = next(line for line in UNIT.read_text().splitlines() if line.startswith("ExecCondition="))
    assert variable in condition
    words = shlex.split(condition.partition("=")[2])
    script = words.pop().replace(variable, str(tmp_path / "selected"))
    script = script.replace("/proc/cmdline", str(tmp_path / "cmdline"))
    done = subprocess.run([*words, script], check=False, capture_output=True)
    assert (done.returncode == 0) is trial
    assert variable in UNIT.with_suffix(".timer").read_text()
