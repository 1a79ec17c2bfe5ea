"""Durations as they are written on command lines: 300s, 5m, 1h 30min. Pure."""

from __future__ import annotations

import re

from twinroot.errors import InputError

_SECONDS = {
    **dict.fromkeys(("ms", "msec", "millis"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_PART = re.compile(r"([0-9]{1,9})\s*([a-z]+)\s*")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def seconds(text: str) -> float:
    """A duration in seconds, more than none; InputError for what is no duration."""
    parts = _PART.findall(text)
    if not _WHOLE.fullmatch(text.strip()) or any(unit not in _SECONDS for _number, unit in parts):
        raise InputError(f"'{text}' is no duration: write a number and a unit, such as 300s, 5m or 1h 30m")
    found = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    if not found:
        raise InputError("a duration of nothing makes no sense here")
    return found
