"""From the bytes of a serial line to text that can be searched. Pure.

Firmware and boot loaders draw screens with escape sequences; systemd colours its status; shells mark their prompts.
`clean` removes all of it, with one exception: placing the cursor becomes a line break, because what is drawn at
another place of the screen is another line.
"""

from __future__ import annotations

import re

# ECMA-48 section 5.4 (control sequences) and 5.6 (control strings), then the two- and three-byte escapes.
_PLACE = r"\x1b\[[0-9;]*[Hf]"
_CONTROL = r"\x1b\[[0-?]*[ -/]*[@-~]"
_STRING = r"\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"
_SHORT = r"\x1b[ -/]*[0-OQ-WYZ\\`-~]"
# In one pass: what stands between two carriage returns keeps them apart, also when they come in different packets.
_ESCAPES = re.compile(rf"(?P<line>{_PLACE}|\r+\n?)|{_CONTROL}|{_STRING}|{_SHORT}")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_UNFINISHED = re.compile(r"(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)|\r+)\Z")
# No escape sequence is longer; what is, was never one.
_LONGEST = 4096

_KERNEL = r"\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? [^\n]*\n"
_SYSTEMD = r"(?:\[(?:  OK  |FAILED|DEPEND| TIME | SKIP | INFO | WARN | ABRT )\] | {9}[A-Z])[^\n]*\n"
_CHATTER = re.compile(f"{_KERNEL}|{_SYSTEMD}")


def clean(received: str) -> tuple[str, str]:
    """(text without escapes and control characters, lines ending in a line feed; the unfinished rest to keep).

    The rest is the start of an escape sequence or a carriage return whose continuation has not come yet.
    """
    unfinished = _UNFINISHED.search(received)
    end = unfinished.start() if unfinished and len(received) - unfinished.start() < _LONGEST else len(received)
    text = _ESCAPES.sub(lambda match: "\n" if match["line"] else "", received[:end])
    return _UNSEEN.sub("", text), received[end:]


def without_chatter(text: str) -> str:
    """Remove what the kernel and the service manager print in between.

    Their messages may begin in the middle of a line of somebody else and end it: taking them out, line end included,
    joins that line again.
    """
    return _CHATTER.sub("", text)
