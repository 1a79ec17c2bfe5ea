"""What a kernel's command line says of the verity devices that systemd opens. Pure.

systemd-veritysetup-generator(8).
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from twinroot.boot import command_line

_DIGITS = 32  # of a UUID, in hex


@dataclass(frozen=True)
class VerityArguments:
    """The root hash in hex, and how data and hashes are named (`UUID=…`, a path, …); None where nothing says that."""

    root_hash: str | None
    data: str | None
    hashes: str | None


def verity_arguments(line: str, name: str) -> VerityArguments:
    """Those for a device called `name`, root or usr. Of arguments that come twice the last counts.

    A root hash alone names its partitions too: their UUIDs are its beginning and its end.
    """
    values = dict(word.split("=", 1) for word in command_line.words_of(line) if "=" in word)
    root_hash = values.get(f"{name}hash", "").lower() or None
    prefix = f"systemd.verity_{name}"
    implied = _partitions(root_hash or "")
    return VerityArguments(
        root_hash, values.get(f"{prefix}_data") or implied[0], values.get(f"{prefix}_hash") or implied[1]
    )


def _partitions(root_hash: str) -> tuple[str, str] | tuple[None, None]:
    try:
        first, last = UUID(root_hash[:_DIGITS]), UUID(root_hash[-_DIGITS:])
    except ValueError:
        return None, None
    return f"PARTUUID={first}", f"PARTUUID={last}"
