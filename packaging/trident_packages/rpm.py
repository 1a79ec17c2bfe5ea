"""RPMs: one spec with a sub-package for each package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trident_packages.contents import Package
from twinroot.tools.run import run

# The spec's own main package has no files and is therefore never built. The Python files are compiled already, and the
# programs of other people in it are as they published them.
_HEAD = """Name: trident-packages
Version: {version}
Release: 1
Summary: The agent that keeps machines on their OS image
License: MIT AND Python-2.0.1 AND Apache-2.0 AND BSD-3-Clause
BuildArch: x86_64
AutoReqProv: no

%global debug_package %{{nil}}
%global _build_id_links none
%global __os_install_post %{{nil}}
%global __spec_install_pre %{{___build_pre}}
%global _binary_payload w12.zstdio
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global _buildhost twinroot

%description
The agent that keeps machines on their OS image.

%clean
"""
# What systemd's own macros do. A chroot in which an image is made has no systemd running.
_POST = """if [ $1 -eq 1 ] && command -v systemctl >/dev/null; then
    systemctl --no-reload preset {units} || :
fi"""
_PREUN = """if [ $1 -eq 0 ] && command -v systemctl >/dev/null; then
    systemctl --no-reload disable {units} || :
    if [ -d /run/systemd/system ]; then systemctl stop {units} || :; fi
fi"""
_POSTUN = """if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi"""


def spec(packages: Iterable[Package], version: str) -> str:
    """The spec's text."""
    return _HEAD.format(version=version) + "\n".join(_package(package) for package in packages)


def _package(package: Package) -> str:
    lines = [f"%package -n {package.name}", f"Summary: {package.summary}", "AutoReqProv: no"]
    lines += ["Requires: trident = %{version}-%{release}"] * package.needs_agent
    lines += [f"Requires: {rpm}" for rpm, _ in package.requires]
    lines += [f"Suggests: {rpm}" for rpm, _ in package.suggests]
    lines += [f"Conflicts: {name}" for name in package.conflicts]
    lines += [f"%description -n {package.name}", f"{package.summary}.", ""]
    if package.units:
        units = " ".join(package.units)
        for section, script in (("post", _POST), ("preun", _PREUN), ("postun", _POSTUN)):
            lines += [f"%{section} -n {package.name}", script.format(units=units), ""]
    lines += [f"%files -n {package.name}", "%defattr(-, root, root)"]
    lines += [f"%dir /{path}" for path in package.directories]
    lines += [f"/{path}" for path in package.all_paths]
    return "\n".join([*lines, "", ""])


def build(tree: Path, packages: Iterable[Package], version: str, epoch: int, work: Path) -> list[Path]:
    """Make the RPMs from the tree; they are dated `epoch`, seconds. `work` is an empty folder for the making."""
    text = work / "trident.spec"
    text.write_text(spec(packages, version))
    home = work / "home"
    home.mkdir()
    run(
        ["rpmbuild", "-bb", "--quiet", "--nodeps", "--define", f"_topdir {work}/rpmbuild", "--buildroot", tree, text],
        env={"SOURCE_DATE_EPOCH": str(epoch), "HOME": str(home)},
    )
    return sorted((work / "rpmbuild/RPMS").rglob("*.rpm"))
