"""The one spec file: a sub-package for each RPM. Pure: packages in, text out."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from standin.packages import FILE_CAPABILITIES
from standin.tree import Entry

# In the name of a spec's own main package, which has no files and is therefore never built.
_HEAD = """Name: standin
Version: 3.0
Release: 1
Summary: Debian packages as RPMs
License: Several, see /usr/share/doc/*/copyright
BuildArch: {arch}
AutoReqProv: no

%global debug_package %{{nil}}
%global _build_id_links none
%global __os_install_post %{{nil}}
%global __check_files %{{nil}}
%global __spec_install_pre %{{___build_pre}}
%global _binary_payload w1.zstdio
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global _buildhost standin

%description
Debian packages as RPMs.

%clean
"""
# In names without quotes these are globs, and in a bracket each stands for itself. In quotes they are globs until
# rpm 4.18 and plain characters from rpm 4.19 on.
_GLOB = re.compile(r"([\[*?])")


@dataclass
class RpmPackage:
    """One RPM. `version` is Debian's (epoch, upstream, revision in one text)."""

    name: str
    version: str
    summary: str
    homepage: str = ""
    requires: set[str] = field(default_factory=set)
    provides: set[str] = field(default_factory=set)
    conflicts: set[str] = field(default_factory=set)
    sections: dict[str, str] = field(default_factory=dict)
    conffiles: set[str] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)


def evr(version: str) -> tuple[str, str, str]:
    """Debian's version as RPM's epoch, version and release: `1:9.2p1-2+deb12u3` -> `1`, `9.2p1`, `2+deb12u3`."""
    epoch, _, rest = version.rpartition(":")
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, "1"
    return epoch or "0", upstream.replace("-", "."), revision.replace("-", ".")


def render(packages: Iterable[RpmPackage], file_lists: str, arch: str = "x86_64") -> str:
    """The spec. `file_lists` is the directory with one `<name>.files` for each package."""
    return _HEAD.format(arch=arch) + "\n".join(_package(p, file_lists) for p in sorted(packages, key=lambda p: p.name))


def _package(package: RpmPackage, file_lists: str) -> str:
    epoch, version, release = evr(package.version)
    lines = [f"%package -n {package.name}", f"Summary: {_text(package.summary)}"]
    lines += [f"Epoch: {epoch}"] * (epoch != "0")
    lines += [f"Version: {version}", f"Release: {release}", "AutoReqProv: no"]
    lines += [f"URL: {_text(package.homepage)}"] * bool(package.homepage)
    lines += [f"Requires: {name}" for name in sorted(package.requires)]
    lines += [f"Provides: {name}" for name in sorted(package.provides)]
    lines += [f"Conflicts: {name}" for name in sorted(package.conflicts)]
    lines += [f"%description -n {package.name}", _text(package.summary), ""]
    for section, script in sorted(package.sections.items()):
        trigger = " -- /usr/lib" if section.startswith("trans") else ""
        lines += [f"%{section} -n {package.name}{trigger}", script.replace("%", "%%"), ""]
    return "\n".join([*lines, f"%files -n {package.name} -f {file_lists}/{package.name}.files", "", ""])


def file_list(package: RpmPackage) -> str:
    """The lines of a package's file list."""
    return "".join(f"{_file(entry, package.conffiles)}\n" for entry in package.entries)


def _file(entry: Entry, conffiles: set[str]) -> str:
    name = _name(entry.path)
    if entry.link is not None:
        return name
    words = [f"%attr({stat.S_IMODE(entry.mode):04o}, {entry.user}, {entry.group})"]
    words += ["%dir"] * entry.is_dir
    words += ["%config(noreplace)"] * (entry.path in conffiles)
    capabilities = FILE_CAPABILITIES.get(entry.path)
    words += [f"%caps({capabilities})"] * bool(capabilities)
    return " ".join([*words, name])


def _name(path: str) -> str:
    """A path as a file list of any rpm takes it."""
    plain = path.replace("%", "%%")
    return _GLOB.sub(r"[\1]", plain) if _GLOB.search(plain) else f'"{plain}"'


def account_script(users: Sequence[Mapping[str, str]], groups: Sequence[tuple[str, str]]) -> str:
    """A `%pre` that adds groups (name, number) and users (fields of passwd) unless they are there."""
    lines = [f"getent group {name} >/dev/null || groupadd -r -g {gid} {name}" for name, gid in groups]
    lines += [
        "getent passwd {name} >/dev/null || useradd -r -M -u {uid} -g {gid} -d {home} -s {shell} {name}".format(**user)
        for user in users
    ]
    return "\n".join([*lines, "exit 0"])


def _text(value: str) -> str:
    return value.replace("%", "%%")
