"""Build the packages of the agent: `build_packages.py rpms` makes `bin/trident-rpms.tar.gz`, `debs` the other."""

from __future__ import annotations

import argparse
import gzip
import logging
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "distro-rpm"))  # how Debian's packages are had is written there

from trident_packages import agent, deb, rpm  # noqa: E402
from trident_packages.contents import PACKAGES, Package  # noqa: E402
from trident_packages.folders import replacing_folder  # noqa: E402
from twinroot import __version__  # noqa: E402
from twinroot.errors import TwinrootError  # noqa: E402
from twinroot.output.files import replacing  # noqa: E402
from twinroot.scratch import locked_folder  # noqa: E402
from twinroot.tools.run import require  # noqa: E402

Build = Callable[[Path, Sequence[Package], str, int, Path], list[Path]]
_KINDS: dict[str, tuple[Build, str, tuple[str, ...]]] = {
    "rpms": (rpm.build, "RPMS/x86_64", ("rpmbuild",)),
    "debs": (deb.build, "DEBS/amd64", ("dpkg-deb",)),
}
_PROGRAMS = ("mmdebstrap", "patchelf", "strip", "tar")


def main() -> int:
    """Build one kind of packages; prints the archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=list(_KINDS))
    parser.add_argument("--cache", type=Path, default=Path("build/packaging"), help="for what is kept between builds")
    parser.add_argument("--output", type=Path, default=Path("bin"), help="directory for the results")
    parser.add_argument("--verbose", action="store_true", help="show every program that is run")
    options = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING, format="%(message)s")
    try:
        print(build(options.kind, options.cache.resolve(), options.output.resolve()))
    except TwinrootError as error:
        print(f"{options.kind}: {error}", file=sys.stderr)
        return 1
    return 0


def build(kind: str, cache: Path, output: Path) -> Path:
    """Make `trident-<kind>.tar.gz` in `output`, and the same unpacked beside it; returns the archive."""
    make, place, programs = _KINDS[kind]
    require((*_PROGRAMS, *programs))
    cache.mkdir(parents=True, exist_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    archive = output / f"trident-{kind}.tar.gz"
    with locked_folder(f".{kind}-", cache) as scratch:
        tree, work = scratch / "tree", scratch / "work"
        tree.mkdir(mode=0o755)
        work.mkdir()
        newest = agent.lay(REPOSITORY, cache, tree)
        epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or newest)
        packages = make(tree, PACKAGES, __version__, epoch, work)
        with replacing_folder(output / place) as (target, _):
            for package in packages:
                shutil.copyfile(package, target / package.name)
        _pack(archive, output / place, place, epoch)
    return archive


def _pack(archive: Path, folder: Path, place: str, epoch: int) -> None:
    """The folder as a tar.gz in which it has the name `place`; its bytes follow from the packages alone."""
    with (
        replacing(archive) as partial,
        partial.open("wb") as stream,
        gzip.GzipFile("", "wb", 1, stream, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path in sorted(folder.iterdir()):
            info = tarfile.TarInfo(f"{place}/{path.name}")
            info.size, info.mtime, info.mode = path.stat().st_size, epoch, 0o644
            with path.open("rb") as content:
                tar.addfile(info, content)


if __name__ == "__main__":
    sys.exit(main())
