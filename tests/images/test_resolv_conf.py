"""What an image has as /etc/resolv.conf at the end, on a small image whose systemctl is a script."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.images.synthetic import MIB, small_base
from tests.images.workplace import Workplace

ROOT_AT = 9 * MIB


@pytest.mark.parametrize(
    ("state", "there", "expected"),
    [
        ("enabled", False, 'Fast link dest: "../run/systemd/resolve/stub-resolv.conf"'),
        ("disabled", False, "File not found"),
        ("enabled", True, "Type: regular"),
    ],
)
def test_the_link_to_systemd_resolved(tmp_path: Path, place: Workplace, state: str, there: bool, expected: str) -> None:
    def edit(root: Path) -> None:
        (root / "usr/bin/systemctl").write_text(f"#!/bin/sh\n[ $2 = systemd-resolved.service ] && echo {state}\n")
        if not there:
            (root / "etc/resolv.conf").unlink()

    image = place.succeeds(small_base(tmp_path / "base.raw", edit))
    shown = subprocess.run(
        ["debugfs", "-R", "stat /etc/resolv.conf", f"{image}?offset={ROOT_AT}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert expected in shown.stdout + shown.stderr
