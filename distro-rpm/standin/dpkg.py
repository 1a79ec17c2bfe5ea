"""dpkg's database of a root: packages, their files, and which installed package fulfils a dependency."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_MERGED = re.compile(r"^/(bin|sbin|lib|lib32|lib64|libx32)/")


@dataclass(frozen=True)
class DebPackage:
    """An installed package. `depends` has one tuple of alternatives (bare names) for each dependency."""

    name: str
    version: str
    summary: str
    homepage: str
    depends: tuple[tuple[str, ...], ...]
    provides: tuple[str, ...]
    files: frozenset[str]
    conffiles: frozenset[str]


def canonical(path: str) -> str:
    """A path with the links of a merged /usr followed: dpkg lists `/lib/x` for what lies in `/usr/lib/x`."""
    return f"/usr{path}" if _MERGED.match(path) else path


def read(root: Path) -> dict[str, DebPackage]:
    """All installed packages of a root by name."""
    database = root / "var/lib/dpkg"
    stanzas = (_fields(text) for text in (database / "status").read_text().split("\n\n") if text.strip())
    return {s["Package"]: _package(s, database / "info") for s in stanzas if s["Status"].endswith(" installed")}


def _package(fields: Mapping[str, str], info: Path) -> DebPackage:
    name = fields["Package"]
    wanted = ", ".join(fields[key] for key in ("Pre-Depends", "Depends") if key in fields)
    conffiles = (line.split()[0] for line in fields.get("Conffiles", "").splitlines() if line.strip())
    return DebPackage(
        name=name,
        version=fields["Version"],
        summary=fields.get("Description", name).splitlines()[0].strip(),
        homepage=fields.get("Homepage", ""),
        depends=tuple(tuple(_bare(word) for word in part.split("|")) for part in wanted.split(",") if part.strip()),
        provides=tuple(_bare(word) for word in fields.get("Provides", "").split(",") if word.strip()),
        files=frozenset(_files(info, name, fields["Architecture"])),
        conffiles=frozenset(canonical(path) for path in conffiles),
    )


def _files(info: Path, name: str, architecture: str) -> Iterable[str]:
    path = info / f"{name}:{architecture}.list"
    listing = path if path.exists() else info / f"{name}.list"
    return (canonical(line) for line in listing.read_text().splitlines() if line not in ("", "/."))


def _fields(stanza: str) -> dict[str, str]:
    found: dict[str, str] = {}
    key = ""
    for line in stanza.splitlines():
        if line[:1] in (" ", "\t"):
            found[key] += f"\n{line[1:]}"
        else:
            key, _, value = line.partition(":")
            found[key] = value.strip()
    return found


def _bare(word: str) -> str:
    """`python3:any (>= 3.9)` -> `python3`."""
    return word.split("(")[0].split(":")[0].strip()


def resolve(package: DebPackage, packages: Mapping[str, DebPackage]) -> list[str]:
    """The installed packages that fulfil the dependencies: for each the first alternative that is there."""
    providers: dict[str, str] = {}
    for other in sorted(packages.values(), key=lambda p: p.name, reverse=True):
        providers |= dict.fromkeys(other.provides, other.name)
    providers |= {name: name for name in packages}
    found = (next((providers[name] for name in group if name in providers), None) for group in package.depends)
    return [name for name in found if name]
