"""The agent's own Python: that of Debian 12, pruned, with the libraries it links to.

It comes from Debian's packages whatever the build host is, so it runs wherever glibc is 2.36 or later. All of its
libraries but glibc are beside it, found by the program's own DT_RPATH, which holds for the modules that it loads too.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from standin.debian import host_sources
from standin.packages import SUITE
from twinroot.tools.run import run

VERSION = "3.11"
PROGRAM = f"bin/python{VERSION}"
_PACKAGES = (f"python{VERSION}-minimal", f"libpython{VERSION}-stdlib", "libgcc-s1")
_STDLIB = f"usr/lib/python{VERSION}"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_GLIBC = frozenset(
    ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2",
    "libutil.so.1", "libcrypt.so.1", "libnsl.so.2", "ld-linux-x86-64.so.2")
)  # fmt: skip
_BESIDES = ("libgcc_s.so.1",)  # for wheels that are written in Rust
# Programs for development, tests, user interfaces, old codings of characters, and what would bring large libraries.
_NOT_RUN = (
    "EXTERNALLY-MANAGED", "LICENSE.txt", "__phello__*", "_pydecimal.py", "_pyio.py", "_pyrepl", "antigravity.py",
    "config-*", "cgi.py", "cgitb.py", "ctypes/test", "curses", "dbm", "distutils", "doctest.py", "ensurepip", "idlelib",
    "imaplib.py", "lib2to3", "lib-dynload/_bz2*", "lib-dynload/_codecs_*", "lib-dynload/_crypt*",
    "lib-dynload/_ctypes_test*",
    "lib-dynload/_curses*", "lib-dynload/_dbm*", "lib-dynload/_lsprof*", "lib-dynload/_lzma*",
    "lib-dynload/_multibytecodec*", "lib-dynload/_test*", "lib-dynload/_uuid*", "lib-dynload/_xx*",
    "lib-dynload/audioop*", "lib-dynload/nis*", "lib-dynload/ossaudiodev*", "lib-dynload/readline*",
    "lib-dynload/xx*", "mailbox.py", "msilib", "multiprocessing", "nntplib.py", "pdb.py", "plistlib.py", "pydoc.py",
    "pydoc_data", "sitecustomize.py", "smtpd.py", "sqlite3/test", "sre_*.py", "tabnanny.py", "telnetlib.py", "test",
    "tkinter", "this.py", "turtle*", "unittest", "venv", "wsgiref", "xml", "xmlrpc",
)  # fmt: skip


def make(target: Path, licences: Path, work: Path) -> int:
    """Make the interpreter in `target`; the time of the newest of Debian's files, seconds, which dates the packages."""
    root = _extract(work)
    stdlib = target / f"lib/python{VERSION}"
    copy_stdlib(root / _STDLIB, stdlib)
    program = target / PROGRAM
    program.parent.mkdir(parents=True)
    shutil.copyfile(root / f"usr/{PROGRAM}", program)
    program.chmod(0o755)
    _copy_libraries([program, *sorted((stdlib / "lib-dynload").glob("*.so"))], root / _LIBRARIES, target / "lib")
    run(["patchelf", "--force-rpath", "--set-rpath", "$ORIGIN/../lib", program])
    documents = sorted((root / "usr/share/doc").glob("*/copyright"))
    _copy_licences(root, target / "lib", licences)
    return int(max(path.stat().st_mtime for path in documents if not path.is_symlink()))


def _extract(work: Path) -> Path:
    """Debian's packages, unpacked and not installed. As an archive first, so that the files are ours without root."""
    root, archive, sources = work / "root", work / "root.tar", host_sources()
    include = f"--include={','.join(_PACKAGES)}"
    run(
        ["mmdebstrap", "--variant=extract", "--quiet", include, SUITE, archive, *(["-"] if sources else [])],
        stdin=sources.encode() if sources else None,
    )
    root.mkdir()
    wanted = [f"./{path}" for path in (_STDLIB, f"usr/{PROGRAM}", _LIBRARIES, "lib/x86_64-linux-gnu", "usr/share/doc")]
    run(["tar", "--no-same-owner", "--exclude=*/gconv", "-xf", archive, "-C", root, *wanted])
    archive.unlink()
    shutil.copytree(root / "lib/x86_64-linux-gnu", root / _LIBRARIES, symlinks=True, dirs_exist_ok=True)
    return root


def copy_stdlib(source: Path, target: Path) -> None:
    """What runs of the standard library.

    The rest is left out before it is copied: a link of it leads to the configuration of Debian's Python below /etc, and
    what the build host has there, if anything, must not come along.
    """

    def left_out(folder: str, names: list[str]) -> list[str]:
        inside = Path(folder).relative_to(source)
        return [name for name in names if any(fnmatch(str(inside / name), pattern) for pattern in _NOT_RUN)]

    shutil.copytree(source, target, symlinks=False, ignore=left_out)


def _copy_libraries(programs: Sequence[Path], source: Path, target: Path) -> None:
    """Copy what programs link to, and what that links to."""
    waiting, known = list(programs), set(_GLIBC)
    wanted = list(_BESIDES)
    while waiting or wanted:
        for program in waiting:
            wanted += run(["patchelf", "--print-needed", program]).stdout.split()
        waiting = []
        for name in sorted(set(wanted) - known):
            known.add(name)
            shutil.copyfile(source / name, target / name)
            waiting.append(target / name)
        wanted = []


def _copy_licences(root: Path, libraries: Path, licences: Path) -> None:
    """The copyright files of the packages whose files are kept, found by the beginning of their names."""
    licences.mkdir(parents=True, exist_ok=True)
    kept = [f"python{VERSION}-minimal", "libgcc-s1", "gcc-12-base"]
    kept += [path.name for path in (root / "usr/share/doc").iterdir() if _packs(path.name, libraries)]
    for name in sorted(set(kept)):
        document = root / "usr/share/doc" / name / "copyright"
        if document.is_file():
            shutil.copyfile(document, licences / f"{name}.copyright")


def _packs(package: str, libraries: Path) -> bool:
    """Whether a package of Debian holds one of the libraries: `libssl3` has libssl, `libsqlite3-0` libsqlite3."""
    stems = {path.name.partition(".so")[0] for path in libraries.glob("lib*.so*")}
    if package == "zlib1g":
        return "libz" in stems
    return any(re.fullmatch(rf"{re.escape(stem)}[-.0-9]*", package) for stem in stems)
