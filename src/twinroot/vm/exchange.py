r"""Running a command over a serial console: what to type, and how to read the answer. Pure.

The console is shared: the shell echoes and wraps what is typed, and the kernel prints into the middle of anything. So

- the command travels as base64 and is decoded by the guest: no quoting, no tabs, no line limit of the terminal;
- its output and exit code come back as base64 with a checksum, between two markers with a fresh tag:

      <<TAG
      base64 lines of: output "\n" exit code
      sha256 of those lines joined
      >>TAG
      >>TAG

- the answer stays in a variable of the shell, so that one that arrived damaged is printed again under a new tag, not
  run again. The closing marker comes twice so that one of them is seen.

The guest needs a POSIX shell with sh, base64, tr and sha256sum (coreutils or busybox).
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from twinroot.vm.text import without_chatter

# A terminal line holds 4095 bytes (termios(3), canonical mode), that of busybox's shell 1024, and nothing holds the
# typist back.
_CHUNK = 512


@dataclass(frozen=True)
class CommandOutput:
    """What a command in the guest left behind: its exit code; standard output and error together, decoded."""

    code: int
    output: str


class DamagedError(Exception):
    """The answer came, but something else printed into it: ask for it again."""


def script_lines(command: str, tag: str) -> list[str]:
    """What to type, line by line; each is answered with an `acknowledged` line before the next, the last by `parse`."""
    encoded = base64.b64encode(command.encode("utf-8", "surrogateescape")).decode()
    chunks = [encoded[i : i + _CHUNK] for i in range(0, len(encoded), _CHUNK)]
    collect = [f' TWC="${{TWC}}{chunk}"; {probe(tag, number)}' for number, chunk in enumerate(chunks)]
    execute = (
        """ TWO=$({ sh -c "$(printf %s "$TWC" | base64 -d)" </dev/null 2>&1; printf '\\n%d' $?; } | base64); TWC=; """
        + reprint_line(tag).strip()
    )
    return [*collect, execute]


def reprint_line(tag: str) -> str:
    """What to type to have the last answer printed (again)."""
    digest = """"$(printf %s "$TWO" | tr -d '\\n' | sha256sum)\""""
    return f""" printf '\\n<<%s\\n%s\\n%s\\n>>%s\\n>>%s\\n' {tag} "$TWO" {digest} {tag} {tag}"""


def probe(tag: str, number: int) -> str:
    """A command that prints the line that `acknowledged` looks for; its echo does not look like it.

    The beginning may be lost when a login throws away what was typed too early: no quote must be left open by the rest.
    """
    return rf"printf \\n==%s==\\n {tag}-{number}"


def acknowledged(tag: str, number: int) -> str:
    """What a probe prints."""
    return f"=={tag}-{number}=="


def parse(received: str, tag: str) -> CommandOutput | None:
    """Read the answer out of what came since the command was typed; None while it is not complete.

    DamagedError when it came and cannot be read.
    """
    answer = re.search(
        rf"<<{tag}\n(?P<body>.*?)\n(?P<digest>[0-9a-f]{{64}})\b[^\n]*\n>>{tag}\n", without_chatter(received), re.DOTALL
    )
    if answer is None:
        # Only a closing marker is in one piece: something printed into the rest.
        if re.search(rf"^>>{tag}\n", received, re.MULTILINE):
            raise DamagedError
        return None
    body = re.sub(r"\s", "", answer["body"])
    if hashlib.sha256(body.encode("utf-8", "surrogateescape")).hexdigest() != answer["digest"]:
        raise DamagedError
    output, _, code = base64.b64decode(body, validate=True).rpartition(b"\n")
    return CommandOutput(int(code), output.decode("utf-8", "surrogateescape"))
