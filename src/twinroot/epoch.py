"""SOURCE_DATE_EPOCH: the one moment that a reproducible build knows (reproducible-builds.org/specs/source-date-epoch).

Seconds since 1970. While it is set, everything that depends on the clock or on chance depends on it and on the inputs.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from twinroot.errors import InputError

VARIABLE = "SOURCE_DATE_EPOCH"
# What the 32 bits of times in ext4 superblocks, gzip and RPM headers hold.
_LATEST = 2**32 - 1


def source_date_epoch() -> int | None:
    """The moment, None when the variable is not set or empty; InputError when it is no usable number."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    # 0 is taken for "not set" by e2fsprogs; leading zeros and signs are read differently by different programs.
    if not text.isascii() or not text.isdigit() or text.startswith("0") or len(text) > 10 or int(text) > _LATEST:
        raise InputError(
            f"{VARIABLE} is '{text}', which is not a number of seconds from 1 to {_LATEST}",
            hint=f"for example: export {VARIABLE}=$(git log -1 --format=%ct)",
        )
    return int(text)


def build_time() -> datetime:
    """The time that is written into what is built: the epoch, or now."""
    epoch = source_date_epoch()
    return datetime.fromtimestamp(epoch, UTC) if epoch is not None else datetime.now(UTC)
