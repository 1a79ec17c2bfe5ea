"""Debian and Ubuntu: apt-get and dpkg inside the image (image behaviour spec §10)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from twinroot.distro.packages import InstalledPackage, OnLine
from twinroot.errors import CommandError, InputError, TwinrootError
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import resolve_inside

PROGRAMS = ("apt-get",)
CACHES = ("/var/cache/apt", "/var/lib/apt/lists")
_LOGS = ("var/log/apt/history.log", "var/log/apt/term.log", "var/log/apt/eipp.log.xz", "var/log/dpkg.log")
_OPTIONS = ("--yes", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
# The sandbox user of apt cannot reach a cache that is bound in from the build directory.
_UNSANDBOXED = ("-o", "APT::Sandbox::User=root")
_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
}
# How apt-get says that it does not know a package, or a version of it.
_UNKNOWN = re.compile(
    r"^E: (?:Unable to locate package (\S+)|Package '(\S+)' has no installation candidate"
    r"|Couldn't find any package by (?:glob|regex) '(\S+)'|Couldn't find task '(\S+)'"
    r"|Version '\S+' for '(\S+)' was not found)$",
    re.MULTILINE,
)
_QUERY = "${db:Status-Abbrev}\\t${Package}\\t${Version}\\t${Architecture}\\n"


@dataclass(frozen=True)
class AptManager:
    """apt-get of an image."""

    chroot: Chroot

    def refresh(self, on_line: OnLine) -> None:
        """See PackageManager. `Error-Mode=any`: a repository that does not answer is an error, not a warning."""
        try:
            self._apt(["update", "-o", "APT::Update::Error-Mode=any"], on_line)
        except CommandError as error:
            causes = [line for line in error.output.splitlines() if line.startswith(("E:", "W:", "Err"))]
            raise TwinrootError(
                f"a package repository does not answer: {causes[0] if causes else error.output.strip()[-200:]}",
                hint="check the base image's /etc/apt/sources.list.d and this host's network",
            ) from error

    def remove(self, names: Sequence[str], on_line: OnLine) -> None:
        """See PackageManager. What only the removed packages needed goes too."""
        packages = installed(self.chroot)
        present = {package.name for package in packages} | {f"{package.name}:{package.arch}" for package in packages}
        missing = [name for name in names if name not in present]
        if missing:
            raise InputError(
                f"os.packages.remove: not installed in the base image: {', '.join(missing)}",
                hint="take it out of the list, or check its spelling",
            )
        self._change("remove", ["remove", *names], on_line)
        self._change("remove", ["autoremove"], on_line)

    def upgrade_all(self, on_line: OnLine) -> None:
        """See PackageManager."""
        self._change("updateExistingPackages", ["upgrade"], on_line)

    def install(self, names: Sequence[str], on_line: OnLine) -> None:
        """See PackageManager. Without recommended packages."""
        self._change("install", ["install", "--no-install-recommends", "--no-install-suggests", *names], on_line)

    def update(self, names: Sequence[str], on_line: OnLine) -> None:
        """See PackageManager."""
        self._change("update", ["install", "--only-upgrade", *names], on_line)

    def remove_itself(self, names: Sequence[str], on_line: OnLine) -> None:
        """See PackageManager."""
        present = {package.name for package in installed(self.chroot)}
        wanted = [name for name in names if name in present]
        if wanted:
            argv = ["remove", "--auto-remove", "--allow-remove-essential", *wanted]
            self._change("removePackageManager", argv, on_line)

    def _change(self, field: str, argv: list[str], on_line: OnLine) -> None:
        with _no_service_starts(self.chroot):
            try:
                self._apt(argv, on_line)
            except CommandError as error:
                raise _explained(error, field) from error

    def _apt(self, argv: list[str], on_line: OnLine) -> None:
        command = ["apt-get", *_OPTIONS, *_UNSANDBOXED, *argv]
        # On a full disk it may wait for ever for a program of its own.
        self.chroot.run(command, env=_ENVIRONMENT, on_line=on_line, network=True, fills=True)


def clean(chroot: Chroot) -> None:
    """Empty the logs that package work wrote."""
    for name in _LOGS:
        path = resolve_inside(chroot.root, name)
        if path.is_file():
            path.write_bytes(b"")


def installed(chroot: Chroot) -> list[InstalledPackage]:
    """Every package that is installed (not merely known, not only its configuration left), sorted."""
    rows = chroot.run(["dpkg-query", "-W", "-f", _QUERY]).stdout.splitlines()
    packages = []
    for row in rows:
        status, _, rest = row.partition("\t")
        if status.startswith(("ii", "hi")):
            name, version, arch = rest.split("\t")
            packages.append(InstalledPackage(name, version, "", arch))
    return sorted(packages, key=lambda package: (package.name, package.version))


def parse_status(text: str) -> list[InstalledPackage]:
    """The installed packages of a dpkg status file, sorted."""
    packages = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" ok installed"):
            packages.append(InstalledPackage(fields["Package"], fields["Version"], "", fields["Architecture"]))
    return sorted(packages, key=lambda package: (package.name, package.version))


@contextmanager
def _no_service_starts(chroot: Chroot) -> Iterator[None]:
    """Packages must not start services in a tree that is not running; undone on every way out."""
    policy = resolve_inside(chroot.root, "/usr/sbin") / "policy-rc.d"
    if policy.exists() or policy.is_symlink():
        # The image's own policy stands; it is not ours to replace.
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def unknown_packages(output: str) -> list[str]:
    """The packages that apt-get's output says it does not know, in order."""
    return list(dict.fromkeys(next(filter(None, groups)) for groups in _UNKNOWN.findall(output)))


def _explained(error: CommandError, field: str) -> TwinrootError:
    names = unknown_packages(error.output)
    if not names:
        return error
    return InputError(
        f"os.packages.{field}: no repository has a package named: {', '.join(names)}",
        hint="check the spelling, and the base image's /etc/apt/sources.list.d",
    )
