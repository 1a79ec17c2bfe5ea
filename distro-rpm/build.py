"""Make the stand-in RPM distribution and the base images: `python distro-rpm/build.py all --output build`."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

from standin import debian_image, minimal_os, repo
from twinroot.errors import TwinrootError

_TARGETS: dict[str, Callable[[Path], Path]] = {
    "repo": repo.build,
    "minimal-os": minimal_os.build,
    "debian": debian_image.build,
}
_ON_REQUEST: dict[str, Callable[[Path], Path]] = {"ubuntu": debian_image.build_ubuntu}


def main() -> int:
    """Build the named targets, all by default; prints each result with the seconds it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", default="all", choices=[*_TARGETS, *_ON_REQUEST, "all"])
    parser.add_argument("--output", type=Path, default=Path("build"), help="directory for the results")
    parser.add_argument("--verbose", action="store_true", help="show every program that is run")
    options = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING, format="%(message)s")
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    for name in _TARGETS if options.target == "all" else [options.target]:
        start = time.monotonic()
        try:
            result = (_TARGETS | _ON_REQUEST)[name](output)
        except TwinrootError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print(f"{name}: {result} ({time.monotonic() - start:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
