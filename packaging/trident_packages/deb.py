"""Debian packages, made of the same tree and the same table as the RPMs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from trident_packages.contents import Package
from twinroot.tools.run import run

_MAINTAINER = "Twinroot <twinroot@localhost>"
# Nothing is enabled or started by the installation, unlike most packages of Debian: which of the services a machine
# wants is the image's affair, and an update or an installation must never begin because a package came.
_POSTINST = """#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
"""
_PRERM = """#!/bin/sh
set -e
if [ "$1" = remove ] && command -v systemctl >/dev/null; then
    systemctl --no-reload disable {units} || :
    if [ -d /run/systemd/system ]; then systemctl stop {units} || :; fi
fi
"""


def control(package: Package, version: str, kibibytes: int) -> str:
    """The text of a package's control file (deb-control(5)). `kibibytes` is its size when installed."""
    needed = [f"trident (= {version})"] * package.needs_agent + [deb for _, deb in package.requires]
    fields = {
        "Package": package.name,
        "Version": version,
        "Architecture": "amd64",
        "Maintainer": _MAINTAINER,
        "Section": "admin",
        "Priority": "optional",
        "Installed-Size": str(kibibytes),
        "Depends": ", ".join(needed),
        "Suggests": ", ".join(dict.fromkeys(deb for _, deb in package.suggests)),
        "Conflicts": ", ".join(package.conflicts),
        "Description": package.summary,
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def scripts(package: Package) -> dict[str, str]:
    """The maintainer scripts of a package, by name."""
    if not package.units:
        return {}
    units = " ".join(package.units)
    return {"postinst": _POSTINST, "prerm": _PRERM.format(units=units), "postrm": _POSTINST}


def build(tree: Path, packages: Iterable[Package], version: str, epoch: int, work: Path) -> list[Path]:
    """Make the packages from the tree; they are dated `epoch`, seconds. `work` is an empty folder for the making."""
    made = []
    for package in packages:
        root = work / package.name
        size = _copy(tree, package, root)
        _write_control(root / "DEBIAN", package, version, size)
        for path in [root, *root.rglob("*")]:
            os.utime(path, (epoch, epoch), follow_symlinks=False)
        name = work / f"{package.name}_{version}_amd64.deb"
        run(
            ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, name],
            env={"SOURCE_DATE_EPOCH": str(epoch)},
        )
        made.append(name)
    return made


def _copy(tree: Path, package: Package, root: Path) -> int:
    """Copy what belongs to the package; its size in KiB."""
    root.mkdir(mode=0o755)
    for directory in package.directories:
        (root / directory).mkdir(parents=True)
    for path in package.all_paths:
        source, target = tree / path, root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target, follow_symlinks=False)
    return sum((path.lstat().st_size + 1023) // 1024 for path in root.rglob("*") if path.is_file())


def _write_control(directory: Path, package: Package, version: str, size: int) -> None:
    directory.mkdir(mode=0o755)
    (directory / "control").write_text(control(package, version, size))
    for name, text in scripts(package).items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
