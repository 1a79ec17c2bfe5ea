"""RPM distributions: tdnf, dnf5 and dnf, which understand the same command lines (image behaviour spec §9)."""

from __future__ import annotations

import configparser
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from twinroot.distro.packages import InstalledPackage, OnLine
from twinroot.errors import CommandError, InputError, TwinrootError
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import place_file, read_text

PROGRAMS = ("tdnf", "dnf5", "dnf", "dnf-3", "microdnf")
CACHES = ("/var/cache/tdnf", "/var/cache/dnf", "/var/cache/libdnf5")
REPOSITORIES = "/run/twinroot/repositories"
# Where directories of the host that a .repo file names are seen in the image.
HOST_PATHS = "/run/twinroot/sources/host"
_QUERY = "%{NAME}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\n"
# How the three programs say that they do not know a package.
_UNKNOWN = ("No match for argument:", "Unable to find a match:", "No package matches")
# How dnf and dnf5 say that a package to be updated is not there to be.
_NOT_INSTALLED = re.compile(
    r"^(?:Package (?P<dnf>\S+) available, but not installed"
    r"|Packages for argument '(?P<dnf5>[^']+)' available, but not installed)\.$",
    re.MULTILINE,
)
_TDNF_CONFIG = "/etc/tdnf/tdnf.conf"
_SNAPSHOT_CONFIG = "/run/twinroot/tdnf.conf"
_TDNF_UNKNOWN = " package not found or not installed"


@dataclass(frozen=True)
class RpmManager:
    """The RPM package manager of an image. `program` is its name; repositories are read from REPOSITORIES.

    `config` is a configuration file inside the image to use instead of the manager's own.
    """

    chroot: Chroot
    program: str
    config: str | None = None

    def refresh(self, on_line: OnLine) -> None:
        """See PackageManager. Exit code 100 of check-update says that updates are there."""
        argv = ["check-update", "--refresh", "--setopt=skip_if_unavailable=False"]
        try:
            self._run(argv, (), on_line, ok=(0, 100))
        except CommandError as error:
            raise TwinrootError(
                f"a package repository does not answer or is damaged: {failure_cause(error.output)}",
                hint="check --rpm-source and the base image's /etc/yum.repos.d; "
                "--disable-base-image-rpm-repos leaves the latter out",
            ) from error

    def remove(self, names: Sequence[str], on_line: OnLine) -> None:
        """See PackageManager."""
        missing = [name for name in names if not self.is_installed(name)]
        if missing:
            raise InputError(
                f"os.packages.remove: not installed in the base image: {', '.join(missing)}",
                hint="take it out of the list, or check its spelling",
            )
        self._change("remove", "remove", ["--disablerepo=*"], names, on_line)

    def upgrade_all(self, on_line: OnLine) -> None:
        """See PackageManager."""
        self._change("updateExistingPackages", "update", [], (), on_line)

    def install(self, names: Sequence[str], on_line: OnLine) -> None:
        """See PackageManager."""
        self._change("install", "install", [], names, on_line)

    def update(self, names: Sequence[str], on_line: OnLine) -> None:
        """See PackageManager."""
        self._change("update", "update", [], names, on_line)

    def remove_itself(self, names: Sequence[str], on_line: OnLine) -> None:
        """See PackageManager."""
        present = [name for name in names if self.chroot.run(["rpm", "-q", name], ok=(0, 1)).code == 0]
        options = ["--disablerepo=*", "--setopt=protected_packages="]
        if present:
            self._change("removePackageManager", "remove", options, present, on_line)

    def is_installed(self, name: str) -> bool:
        """Whether a package (a version may follow its name), or one that provides the name, is installed."""
        return any(
            self.chroot.run(["rpm", "-q", *option, name], ok=(0, 1)).code == 0 for option in (["--whatprovides"], [])
        )

    def _change(self, field: str, verb: str, options: list[str], names: Sequence[str], on_line: OnLine) -> None:
        try:
            result = self._run([verb, *options], names, on_line)
        except CommandError as error:
            raise _explained(error, field) from error
        unknown = unknown_packages(result)
        if unknown:
            # dnf only warns of these where anything else could be done.
            raise _unknown_error(field, unknown, result)

    def _run(self, argv: list[str], names: Sequence[str], on_line: OnLine, ok: Sequence[int] = (0,)) -> str:
        options = ["--assumeyes", f"--setopt=reposdir={REPOSITORIES}"]
        if self.config:
            options += ["--config", self.config]
        if self.program != "tdnf":
            options += ["--setopt=logdir=/run/twinroot/log"]
        result = self.chroot.run(
            [self.program, argv[0], *options, *argv[1:], *names], ok=ok, on_line=on_line, network=True, fills=True
        )
        return result.stdout + result.stderr


def snapshot_config(chroot: Chroot, program: str, moment: datetime) -> str:
    """A configuration with which only packages published before `moment` exist: its path inside the image.

    It lies in memory. InputError unless the package manager is tdnf, as no other can do that.
    """
    if program != "tdnf":
        raise InputError(
            f"os.packages.snapshotTime: the image's package manager {program} cannot leave out later packages",
            hint="only tdnf can; leave snapshotTime out, or use a repository that holds the wanted versions",
        )
    text = read_text(chroot.root, _TDNF_CONFIG) or ""
    place_file(chroot.root, _SNAPSHOT_CONFIG, with_snapshot_time(text, moment))
    return _SNAPSHOT_CONFIG


def with_snapshot_time(text: str, moment: datetime) -> str:
    """A tdnf.conf with `snapshottime` in its section `main`, seconds since 1970."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    try:
        parser.read_string(text, _TDNF_CONFIG)
    except configparser.Error as error:
        raise InputError(f"{_TDNF_CONFIG} of the base image cannot be read: {error}") from error
    if not parser.has_section("main"):
        parser.add_section("main")
    parser["main"]["snapshottime"] = str(int(moment.timestamp()))
    written = io.StringIO()
    parser.write(written, space_around_delimiters=False)
    return written.getvalue()


def installed(chroot: Chroot) -> list[InstalledPackage]:
    """Everything in the image's RPM database, sorted."""
    rows = chroot.run(["rpm", "-qa", "--qf", _QUERY]).stdout.splitlines()
    return parse_installed(rows)


def parse_installed(rows: Sequence[str]) -> list[InstalledPackage]:
    """Rows of `rpm -qa` in our query format. Imported signing keys are no packages."""
    packages = [InstalledPackage(*row.split("\t")) for row in rows if row.count("\t") == 3]
    return sorted((p for p in packages if p.name != "gpg-pubkey"), key=lambda p: (p.name, p.version, p.release))


QUERY_FORMAT = _QUERY


def unknown_packages(output: str) -> list[str]:
    """The packages that a program's output says it does not know, in order."""
    found: list[str] = []
    for line in output.splitlines():
        for marker in _UNKNOWN:
            if marker in line:
                found += [name.strip("'\"") for name in line.split(marker, 1)[1].split()]
        if line.endswith(_TDNF_UNKNOWN):
            found.append(line.removesuffix(_TDNF_UNKNOWN).split()[-1])
    return list(dict.fromkeys(found))


def not_installed_packages(output: str) -> list[str]:
    """The packages that a program's output says are available and not installed, in order."""
    return list(dict.fromkeys(match["dnf"] or match["dnf5"] for match in _NOT_INSTALLED.finditer(output)))


def _unknown_error(field: str, names: list[str], output: str) -> InputError:
    absent = not_installed_packages(output)
    if absent:
        return InputError(
            f"os.packages.{field}: not installed in the base image: {', '.join(absent)}",
            hint="name them in os.packages.install",
        )
    return InputError(
        f"os.packages.{field}: no repository has a package named: {', '.join(names)}",
        hint="check the spelling, and that --rpm-source names the place that has it",
    )


def _explained(error: CommandError, field: str) -> TwinrootError:
    unknown = unknown_packages(error.output)
    if unknown:
        return _unknown_error(field, unknown, error.output)
    return TwinrootError(f"os.packages.{field}: the image's package manager failed: {failure_cause(error.output)}")


def failure_cause(output: str) -> str:
    """What a package manager's output gives as the reason of its failure, with the paths of the host."""
    lines = [line.strip().replace(HOST_PATHS, "") for line in output.splitlines() if line.strip()]
    details = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    general = [
        # "Error: Transaction test error:" says the rest on the next lines.
        " ".join(lines[index : index + 3]) if line.endswith(":") else line
        for index, line in enumerate(lines)
        if line.lower().startswith("error") and not line.startswith("Errors during")
    ]
    other = [line for line in lines if "rror" in line or "annot" in line]
    found = [*dict.fromkeys([*general[:1], *details[:3]])] or other[:1] or lines[-1:]
    return "; ".join(found) or "it gave no reason"
