"""The only place that starts other programs.

Every program gets an explicit environment, no standard input unless given, and its own session, so that a Ctrl-C
reaches us alone and we decide how the program ends. A failure carries the command as one could paste it into a shell
and the end of what it printed. Nothing here knows any particular program: each has its own module beside this one.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from twinroot.errors import CommandError, MissingToolError
from twinroot.interrupts import held
from twinroot.tools.packages import package_of
from twinroot.units import KIB

log = logging.getLogger(__name__)

Arg = str | os.PathLike[str]
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FULL_SECONDS = 10
_NOTHING = 256 * KIB
_TICK = 1.0  # seconds
_LINE_END = re.compile(rb"\r\n|[\r\n]")
_PASSED_ON = ("HOME", "USER", "TMPDIR", "SOURCE_DATE_EPOCH", "TERM")
# Programs differ in which of both cases they look at.
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")


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


def proxies() -> dict[str, str]:
    """The variables that say which proxies lead to the network, for programs that use it."""
    names = [*_PROXIES, *map(str.upper, _PROXIES)]
    return {name: os.environ[name] for name in names if name in os.environ}


def find(program: str) -> str:
    """The full path of a host program; MissingToolError, naming its package, when it is not installed."""
    found = shutil.which(program, path=_search_path())
    if not found:
        raise MissingToolError(program, package_of(program))
    return found


def first_available(programs: Sequence[str]) -> str | None:
    """The first of some host programs that is installed, or None."""
    return next((program for program in programs if shutil.which(program, path=_search_path())), None)


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
    merged: bool = False,
    hint: str | None = None,
    timeout: float | None = None,
    room: Path | None = None,
) -> Result:
    """Run a program to its end and return its output.

    `env` adds to `environment()`. `ok` lists the exit codes that count as success. `on_line` sees each line of
    standard output as it comes; a carriage return, which progress displays use, ends a line too. `merged` puts standard
    error among standard output, in the order in which they were written. A program that takes longer than `timeout`
    seconds is ended, which is a CommandError too; not together with `on_line`. `room` is a directory on the disk that
    it writes to: where that stays full the program is ended, which is a CommandError as well. Raises CommandError
    for other exit codes, MissingToolError when the program is not there. Whatever interrupts us (an exception in
    `on_line`, Ctrl-C, SIGTERM) ends the program and everything it started first. Where the host has setpriv,
    a SIGKILL of ours ends the program too.
    """
    command = [os.fspath(arg) for arg in argv]
    command[0] = find(command[0])
    shown = shlex.join(command)
    log.debug("run: %s", shown)
    with (
        tempfile.TemporaryFile() as errors,
        _process(command, stdin, env, cwd, subprocess.STDOUT if merged else errors) as process,
        _ended_when_full(process, room, shown) if room else nullcontext(),
    ):
        try:
            out, code = _followed(process, stdin, on_line, timeout)
        except subprocess.TimeoutExpired as error:
            raise CommandError(shown, -signal.SIGKILL, f"it did not end within {timeout:g} s", hint=hint) from error
        errors.seek(0)
        result = Result(code, _text(out), _text(errors.read()))
    for line in result.stderr.splitlines():
        log.debug("  %s", line)
    if code not in ok:
        raise CommandError(shown, code, result.stderr + "\n" + result.stdout, hint=hint)
    return result


@contextmanager
def _process(
    command: list[str], stdin: bytes | None, env: Mapping[str, str] | None, cwd: Arg | None, errors: IO[bytes] | int
) -> Iterator[subprocess.Popen[bytes]]:
    process: subprocess.Popen[bytes] | None = None
    try:
        with held():
            process = subprocess.Popen(
                _dying_with_us(command),
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(env),
                cwd=cwd,
                start_new_session=True,
            )
        yield process
    finally:
        if process and process.poll() is None:
            stop(process)
        if process and process.stdout:
            process.stdout.close()


@contextmanager
def _ended_when_full(process: subprocess.Popen[bytes], room: Path, shown: str) -> Iterator[None]:
    """End a program when nothing is left on a disk for a while: some wait for ever then, apt among them."""
    over, full = threading.Event(), threading.Event()

    def watch() -> None:
        seconds = 0
        while seconds < _FULL_SECONDS:
            if over.wait(1):
                return
            seconds = seconds + 1 if _free(room) < _NOTHING else 0
        full.set()
        stop(process)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
    if full.is_set():
        said = f"{os.strerror(errno.ENOSPC)}: there was none for {_FULL_SECONDS} s, so it was ended"
        raise CommandError(shown, -signal.SIGTERM, said)


def _free(directory: Path) -> int:
    # With what is kept for root, who may be the one that writes: nothing is ended that could go on.
    status = os.statvfs(directory)
    return status.f_bfree * status.f_frsize


def start(
    argv: Sequence[Arg],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: IO[bytes] | int = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that runs beside us, in its own session; the caller ends it with `stop`.

    `env` adds to `environment()`. `pass_fds` stay open in it under their numbers. Where the host has setpriv, the
    kernel kills the program when the thread that started it ends, so that not even a SIGKILL of ours leaves it behind.
    """
    command = [find(os.fspath(argv[0])), *(os.fspath(arg) for arg in argv[1:])]
    log.debug("start: %s", shlex.join(command))
    return subprocess.Popen(
        _dying_with_us(command),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=environment(env),
        pass_fds=pass_fds,
        start_new_session=True,
    )


def _dying_with_us(command: list[str]) -> list[str]:
    setpriv = shutil.which("setpriv", path=_search_path())
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else command


def stop(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """End a program and everything in its session's process group: first politely, then for good."""
    for sig, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 30.0)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sig)
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait)
            break
    # The program is gone, but what it started may have chosen not to hear the polite signal.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _followed(
    process: subprocess.Popen[bytes], stdin: bytes | None, on_line: Callable[[str], None] | None, timeout: float | None
) -> tuple[bytes, int]:
    """What a program prints until it ends, and its exit code. subprocess.TimeoutExpired."""
    if process.stdin is not None:
        # Beside the reading: a program that answers before it has read everything would wait for us, and we for it.
        threading.Thread(target=_feed, args=(process.stdin, stdin or b""), daemon=True).start()
    deadline = None if timeout is None else time.monotonic() + timeout
    kept, rest = [], b""
    for chunk in _chunks(process, deadline):
        kept.append(chunk)
        if on_line:
            *lines, rest = _LINE_END.split(rest + chunk)
            for line in lines:
                on_line(_text(line))
    if on_line and rest:
        on_line(_text(rest))
    while True:
        tick = _tick(process, deadline)
        with suppress(subprocess.TimeoutExpired):
            return b"".join(kept), process.wait(tick)


def _chunks(process: subprocess.Popen[bytes], deadline: float | None) -> Iterator[bytes]:
    """What comes on standard output, as it comes.

    No call waits for long: a signal that arrives when it has just begun does not end it, and Python would not hear of
    Ctrl-C before the program says something.
    """
    assert process.stdout is not None
    ready = select.poll()
    ready.register(process.stdout, select.POLLIN)
    while True:
        if ready.poll(_tick(process, deadline) * 1000):
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                return
            yield chunk


def _tick(process: subprocess.Popen[bytes], deadline: float | None) -> float:
    """For how many seconds to wait before we look around. subprocess.TimeoutExpired behind the deadline."""
    if deadline is None:
        return _TICK
    left = deadline - time.monotonic()
    if left <= 0:
        raise subprocess.TimeoutExpired(process.args, 0)
    return min(left, _TICK)


def _feed(pipe: IO[bytes], data: bytes) -> None:
    # The program need not read everything.
    with suppress(BrokenPipeError):
        pipe.write(data)
    with suppress(BrokenPipeError):
        pipe.close()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _search_path() -> str:
    return os.environ.get("TWINROOT_TOOL_PATH") or SEARCH_PATH
