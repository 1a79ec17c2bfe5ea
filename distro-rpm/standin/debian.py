"""Debian roots: made by mmdebstrap from the sources that the host itself uses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from standin.packages import SUITE
from twinroot.tools.run import run

_LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*")
_KEPT = "/usr/share/doc/*/copyright"


def host_sources(apt: Path = Path("/etc/apt"), suite: str = SUITE) -> str:
    """The host's package sources for the suite as deb822 stanzas or one-line entries; empty when it has none."""
    stanzas: list[str] = []
    lines: list[str] = []
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        if path.suffix == ".sources" and path.is_file():
            stanzas += [text for text in path.read_text().split("\n\n") if _stanza_fits(text, suite)]
        elif path.suffix == ".list" and path.is_file():
            lines += [line for line in path.read_text().splitlines() if _line_fits(line, suite)]
    # mmdebstrap takes either form, not both at once.
    return "\n\n".join(stanza.strip() for stanza in stanzas) + "\n" if stanzas else "".join(f"{x}\n" for x in lines)


def _stanza_fits(text: str, suite: str) -> bool:
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line and line[0] not in "# \t")
    suites = fields.get("Suites", "").split()
    wanted = "main" in fields.get("Components", "").split() and "deb" in fields.get("Types", "").split()
    return wanted and all(name == suite or name.startswith(f"{suite}-") for name in suites) and bool(suites)


def _line_fits(line: str, suite: str) -> bool:
    words = [word for word in line.split("#")[0].split() if "=" not in word and word not in ("[", "]")]
    if len(words) < 4 or words[0] != "deb":
        return False
    return (words[2] == suite or words[2].startswith(f"{suite}-")) and "main" in words[3:]


def bootstrap(
    root: Path,
    packages: Sequence[str],
    *,
    initramfs: bool,
    suite: str = SUITE,
    components: Sequence[str] = ("main",),
) -> None:
    """Make a root of Debian's or Ubuntu's suite with the packages, without documentation except the copyright files.

    With `initramfs` false the kernel's initramfs is left out, which saves a minute where it is not wanted.
    """
    excludes = [f"--dpkgopt=path-exclude={glob}" for glob in _LEFT_OUT]
    sources = host_sources(suite=suite)
    run(
        [
            *_own_mounts(),
            "mmdebstrap",
            "--variant=apt",
            f"--components={','.join(components)}",
            "--quiet",
            f"--include={','.join(packages)}",
            '--aptopt=APT::Install-Recommends "false"',
            "--dpkgopt=force-unsafe-io",
            *excludes,
            f"--dpkgopt=path-include={_KEPT}",
            suite,
            root,
            *(["-"] if sources else []),
        ],
        stdin=sources.encode() if sources else None,
        env={} if initramfs else {"INITRD": "No"},
    )


def _own_mounts() -> list[str]:
    """What to put before a program that, run by root, mounts /proc and more where all see it.

    Where it was killed that would stay, and whoever removed the root would do so in there, too.
    """
    return ["unshare", "--mount"] if os.geteuid() == 0 else []
