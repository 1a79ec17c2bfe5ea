"""The repository: Debian root in, `RPMS/` with metadata out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from standin import dpkg
from standin.adapt import adapt
from standin.debian import bootstrap
from standin.owners import Owners, rpm_name
from standin.packages import (
    DROP,
    DROPPED,
    EXTRAS,
    FILESYSTEM,
    GROUPS,
    NOT_NEEDED,
    RENAMED,
    SETUP,
    SUITE,
    USERS,
    WANTED,
    Extra,
)
from standin.spec import RpmPackage, account_script, file_list, render
from standin.stamp import Stamp, fresh, note
from standin.tree import Entry, remove, scan
from twinroot.scratch import locked_folder
from twinroot.tools.run import run

_FIRST = frozenset((SETUP, FILESYSTEM))


def build(output: Path) -> Path:
    """Make `output/repo/RPMS` unless it is there and made from the same inputs; returns it."""
    done = output / "repo"
    stamp = Stamp.of(modules=("adapt", "dpkg", "owners", "packages", "repo", "spec", "tree"), files=True)
    if fresh(done, stamp):
        return done / "RPMS"
    root = _debian_root(output)
    with locked_folder(".repo-", output) as work:
        tree = work / "root"
        run(["cp", "-al", root, tree])
        packages, epoch = _packages(tree)
        _rpmbuild(work, tree, packages, epoch)
        fresh_repo = work / "repo"
        (fresh_repo / "RPMS").mkdir(parents=True)
        for rpm in sorted((work / "rpmbuild/RPMS").rglob("*.rpm")):
            rpm.rename(fresh_repo / "RPMS" / rpm.name)
        run(["createrepo_c", "--quiet", "--general-compress-type=gz", fresh_repo / "RPMS"])
        note(fresh_repo, stamp)
        remove(done)
        fresh_repo.rename(done)
    return done / "RPMS"


def _debian_root(output: Path) -> Path:
    """The Debian root with everything wanted, kept in `output/cache` as it takes longest to make."""
    done = output / "cache/rpm-root"
    stamp = Stamp.of(modules=("debian",), text=[SUITE, *WANTED])
    if not fresh(done, stamp):
        done.parent.mkdir(parents=True, exist_ok=True)
        with locked_folder(".root-", done.parent) as scratch:
            made = scratch / "made"
            made.mkdir()
            bootstrap(made / "root", WANTED, initramfs=False)
            note(made, stamp)
            remove(done)
            made.rename(done)
    return done / "root"


def _packages(tree: Path) -> tuple[list[RpmPackage], int]:
    """The RPMs to make, with their files; and the time that later files are set to, seconds."""
    debian = dpkg.read(tree)
    names = {name: rpm_name(name, RENAMED, DROPPED) for name in debian}
    # Copyright files are never changed by an installation; the newest one dates the set of packages.
    newest = max(entry.mtime for entry in scan(tree) if entry.path.endswith("/copyright"))
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or newest)
    accounts = _account_scripts(tree)
    made = adapt(tree)
    entries = scan(tree)
    owners = Owners(debian.values(), names, made).assign(entries)
    packages = _from_debian(debian, names)
    for name in sorted(set(owners.values()) | set(EXTRAS)):
        if name and name not in packages:
            packages[name] = RpmPackage(name, "", name)
    for name, extra in EXTRAS.items():
        _extend(packages[name], extra, debian)
    for name, script in accounts.items():
        packages[name].sections["pre"] = script
        packages[name].requires |= {"shadow-utils"}
    _give_files(packages, entries, owners, {path for p in debian.values() for path in p.conffiles})
    return list(packages.values()), epoch


def _from_debian(debian: Mapping[str, dpkg.DebPackage], names: Mapping[str, str]) -> dict[str, RpmPackage]:
    order = {name: index for index, name in enumerate(RENAMED)}
    packages: dict[str, RpmPackage] = {}
    for deb in sorted(debian.values(), key=lambda p: (order.get(p.name, len(order)), p.name)):
        name = names[deb.name]
        if name == DROP:
            continue
        package = packages.setdefault(name, RpmPackage(name, deb.version, deb.summary, deb.homepage))
        needed = {names[other] for other in dpkg.resolve(deb, debian)} - {DROP, name}
        package.requires |= {other for other in needed if (name, other) not in NOT_NEEDED} | {FILESYSTEM}
    return packages


def _extend(package: RpmPackage, extra: Extra, debian: Mapping[str, dpkg.DebPackage]) -> None:
    package.summary = extra.summary or package.summary
    package.version = (
        extra.version or package.version or (debian[extra.version_of].version if extra.version_of else "1")
    )
    package.requires |= set(extra.requires) | ({FILESYSTEM} if package.name not in _FIRST else set())
    package.provides |= set(extra.provides)
    package.conflicts |= set(extra.conflicts)
    package.sections |= extra.sections


def _account_scripts(tree: Path) -> dict[str, str]:
    """`%pre` scripts by RPM, for the accounts that belong to a package, with the numbers Debian gave them."""
    passwd = [line.split(":") for line in (tree / "etc/passwd").read_text().splitlines()]
    group = [line.split(":") for line in (tree / "etc/group").read_text().splitlines()]
    scripts = {}
    for package in sorted((set(USERS.values()) | set(GROUPS.values())) - {DROP}):
        users = [
            {"name": row[0], "uid": row[2], "gid": row[3], "home": row[5], "shell": row[6]}
            for row in passwd
            if USERS.get(row[0]) == package
        ]
        groups = [(row[0], row[2]) for row in group if GROUPS.get(row[0]) == package]
        scripts[package] = account_script(users, groups)
    return scripts


def _give_files(
    packages: Mapping[str, RpmPackage], entries: list[Entry], owners: Mapping[str, str], conffiles: set[str]
) -> None:
    for entry in entries:
        owner = owners[entry.path]
        if owner == DROP:
            continue
        package = packages[owner]
        package.entries.append(entry)
        by_script = entry.path.startswith("/etc/") and owner in _FIRST
        if not entry.is_dir and (entry.path in conffiles or by_script):
            package.conffiles.add(entry.path)


def _rpmbuild(work: Path, tree: Path, packages: list[RpmPackage], epoch: int) -> None:
    lists = work / "lists"
    lists.mkdir()
    for package in packages:
        (lists / f"{package.name}.files").write_text(file_list(package))
    spec = work / "standin.spec"
    spec.write_text(render(packages, str(lists)))
    home = work / "home"
    home.mkdir()
    run(
        ["rpmbuild", "-bb", "--quiet", "--nodeps", "--define", f"_topdir {work}/rpmbuild", "--buildroot", tree, spec],
        env={"SOURCE_DATE_EPOCH": str(epoch), "HOME": str(home)},
    )
    shutil.rmtree(lists)
