"""The only place that starts other programs.

Every program gets an explicit environment, no standard input unless given, and its own session, so that a Ctrl-C
reaches us alone and we decide how the program ends. A failure carries the command as one could paste it into a shell
and the end of what it printed. Nothing here knows any particular program: each has its own module beside this one.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from twinroot.errors import CommandError, MissingToolError
from twinroot.tools.packages import package_of

log = logging.getLogger(__name__)

Arg = str | os.PathLike[str]
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("HOME", "USER", "TMPDIR", "SOURCE_DATE_EPOCH", "TERM")


@dataclass(frozen=True)
class Result:
    """What a program left behind: exit code and decoded output (undecodable bytes become surrogates)."""

    code: int
    stdout: str
    stderr: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment programs run in: a fixed path, C.UTF-8, UTC, and the few variables that must pass."""
    env = {"PATH": _search_path(), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    env |= {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return env | dict(extra or {})


def find(program: str) -> str:
    """The full path of a host program; MissingToolError, naming its package, when it is not installed."""
    found = shutil.which(program, path=_search_path())
    if not found:
        raise MissingToolError(program, package_of(program))
    return found


def require(programs: Sequence[str]) -> None:
    """Check that every program is there before any work starts; names the first that is missing."""
    for program in programs:
        find(program)


def run(
    argv: Sequence[Arg],
    *,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Arg | None = None,
    ok: Sequence[int] = (0,),
    on_line: Callable[[str], None] | None = None,
    hint: str | None = None,
) -> Result:
    """Run a program to its end and return its output.

    `env` adds to `environment()`. `ok` lists the exit codes that count as success. `on_line` sees each line of
    standard output as it comes. Raises CommandError for other exit codes, MissingToolError when the program is not
    there. Whatever interrupts us (an exception in `on_line`, Ctrl-C, SIGTERM) ends the program and everything it
    started first.
    """
    command = [os.fspath(arg) for arg in argv]
    command[0] = find(command[0])
    shown = shlex.join(command)
    log.debug("run: %s", shown)
    with tempfile.TemporaryFile() as errors, _process(command, stdin, env, cwd, errors) as process:
        out = _read_lines(process, on_line) if on_line else process.communicate(stdin)[0]
        code = process.wait()
        errors.seek(0)
        result = Result(code, _text(out), _text(errors.read()))
    for line in result.stderr.splitlines():
        log.debug("  %s", line)
    if code not in ok:
        raise CommandError(shown, code, result.stderr + "\n" + result.stdout, hint=hint)
    return result


@contextmanager
def _process(
    command: list[str], stdin: bytes | None, env: Mapping[str, str] | None, cwd: Arg | None, errors: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment(env),
        cwd=cwd,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            stop(process)
        if process.stdout:
            process.stdout.close()


def start(
    argv: Sequence[Arg],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: IO[bytes] | int = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program that runs beside us, in its own session; the caller ends it with `stop`.

    `pass_fds` stay open in it under their numbers. Where the host has setpriv, the kernel kills the program when the
    thread that started it ends, so that not even a SIGKILL of ours leaves it behind.
    """
    command = [find(os.fspath(argv[0])), *(os.fspath(arg) for arg in argv[1:])]
    log.debug("start: %s", shlex.join(command))
    setpriv = shutil.which("setpriv", path=_search_path())
    return subprocess.Popen(
        [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=environment(),
        pass_fds=pass_fds,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """End a program and everything in its session's process group: first politely, then for good."""
    for sig, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 30.0)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sig)
        try:
            process.wait(wait)
            return
        except subprocess.TimeoutExpired:
            continue


def _read_lines(process: subprocess.Popen[bytes], on_line: Callable[[str], None]) -> bytes:
    kept: list[bytes] = []
    assert process.stdout is not None
    for line in process.stdout:
        kept.append(line)
        on_line(_text(line).rstrip("\n"))
    return b"".join(kept)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _search_path() -> str:
    return os.environ.get("TWINROOT_TOOL_PATH") or SEARCH_PATH
