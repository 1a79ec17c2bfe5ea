"""Whether a result was made from the inputs of now: a hash of scripts, files and lists beside the result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_NAME = ".stamp"


@dataclass(frozen=True)
class Stamp:
    """A hash of inputs, hexadecimal."""

    digest: str

    @staticmethod
    def of(*, modules: Iterable[str], text: Iterable[str] = (), files: bool = False) -> Stamp:
        """Hash the named modules of this package, other text, and with `files` the tree of files to be packaged."""
        found = hashlib.sha256()
        for name in sorted(modules):
            found.update((_HERE / f"{name}.py").read_bytes())
        for path in sorted((_HERE.parent / "files").rglob("*")) if files else ():
            mode = path.stat().st_mode
            found.update(f"{path.relative_to(_HERE.parent)} {mode:o}\0".encode())
            found.update(path.read_bytes() if path.is_file() else b"")
        found.update("\0".join(text).encode())
        return Stamp(found.hexdigest())


def fresh(result: Path, stamp: Stamp) -> bool:
    """Whether the directory or file was made under this stamp."""
    place = _place(result)
    return result.exists() and place.is_file() and place.read_text() == stamp.digest


def note(result: Path, stamp: Stamp) -> None:
    """Leave the stamp with a result."""
    _place(result).write_text(stamp.digest)


def read(result: Path) -> str:
    """The stamp of a result, for hashing into what is made from it."""
    return _place(result).read_text()


def _place(result: Path) -> Path:
    return result / _NAME if result.is_dir() else result.with_name(f".{result.name}.stamp")
