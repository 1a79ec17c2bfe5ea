"""The time that a build writes into images."""

from __future__ import annotations

import os
import re

from twinroot.errors import InputError


def source_date_epoch() -> int | None:
    """SOURCE_DATE_EPOCH (reproducible-builds.org): seconds since 1970; None when not set, InputError when no number."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,11}", text):
        raise InputError(f"SOURCE_DATE_EPOCH is {text!r}, which is not a number of seconds since 1970")
    return int(text)
