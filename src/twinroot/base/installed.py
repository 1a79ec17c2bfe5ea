"""The packages of an image, read without mounting it: its RPM database copied out, or dpkg's status file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twinroot.base.facts import BaseFacts
from twinroot.distro import apt, rpm
from twinroot.distro.packages import InstalledPackage
from twinroot.plan.disk import EXT_TYPES
from twinroot.tools import e2fsprogs
from twinroot.tools.e2fsprogs import Location
from twinroot.tools.rpm import query_all

RPM_DATABASES = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
_RPM_FILES = ("rpmdb.sqlite", "Packages.db", "Packages")
DPKG_STATUS = "/var/lib/dpkg/status"


def package_format(facts: BaseFacts) -> str | None:
    """ "rpm", "deb", or None for an image without a package database that we know."""
    if _rpm_database(facts):
        return "rpm"
    return "deb" if facts.read(DPKG_STATUS) else None


def installed_packages(facts: BaseFacts) -> tuple[InstalledPackage, ...]:
    """Every installed package, sorted; empty without a package database.

    Raises MissingToolError when the image has an RPM database and the host no rpm, CommandError when it is damaged.
    """
    database = _rpm_database(facts)
    if database is None:
        status = facts.read(DPKG_STATUS) or b""
        return tuple(apt.parse_status(status.decode("utf-8", "replace")))
    filesystem, inner = facts.locate(database)
    with tempfile.TemporaryDirectory(prefix="twinroot-") as scratch:
        copy = Path(scratch, "rpm")
        e2fsprogs.copy_tree(Location(facts.disk.path, filesystem.offset), inner, copy)
        found = next((path.parent for name in _RPM_FILES for path in sorted(copy.rglob(name))), copy)
        return tuple(rpm.parse_installed(query_all(found, rpm.QUERY_FORMAT)))


def _rpm_database(facts: BaseFacts) -> str | None:
    """The directory of the RPM database; the image may have one path as a link to the other."""
    for path in RPM_DATABASES:
        if facts.locate(path)[0].type in EXT_TYPES and set(_RPM_FILES) & set(facts.list(path)):
            return path
    return None
