"""The socket that the daemon listens on: that of systemd, or one of its own."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path

from twinroot.errors import BusyError, HostError, InputError

_FIRST = 3  # the first descriptor that systemd hands over: sd_listen_fds(3)
_PATIENCE = 5.0  # seconds for somebody who may be listening to answer


@contextmanager
def listening(path: Path, environment: MutableMapping[str, str]) -> Iterator[socket.socket]:
    """The socket of systemd where the environment says that there is one, else a new one at a path.

    A new one is removed behind the block. HostError where neither can be had, BusyError where somebody listens already.
    """
    handed = _handed_over(environment)
    if handed:
        with handed:
            yield handed
        return
    with _new(path) as made:
        own = path.lstat()
        try:
            yield made
        finally:
            # Whoever took its place keeps it.
            with suppress(OSError):
                if os.path.samestat(own, path.lstat()):
                    path.unlink()


def _handed_over(environment: MutableMapping[str, str]) -> socket.socket | None:
    """What systemd handed over, which is for this process alone: the programs that it starts hear nothing of it."""
    found = {name: environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    if found["LISTEN_PID"] != str(os.getpid()) or found["LISTEN_FDS"] in ("", "0"):
        return None
    try:
        handed = socket.socket(fileno=_FIRST)
        listens = handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise HostError(f"the socket of systemd cannot be used: {error.strerror}") from error
    if (handed.family, handed.type, listens) != (socket.AF_UNIX, socket.SOCK_STREAM, 1):
        handed.close()
        raise HostError(
            "the socket of systemd is no Unix socket that streams", hint="see: systemctl cat tridentd.socket"
        )
    handed.set_inheritable(False)
    return handed


def _new(path: Path) -> socket.socket:
    """A socket at a path, for root alone from its first moment."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o022)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        os.umask(0o177)
        made.bind(str(path))
        made.listen()
    except OSError as error:
        made.close()
        raise HostError(f"it cannot be listened on: {error.strerror or error}", where=str(path)) from error
    except BaseException:
        made.close()
        raise
    finally:
        os.umask(before)
    return made


def _remove_stale(path: Path) -> None:
    """Remove the socket of a daemon that was killed. BusyError when somebody answers on it."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise InputError("this is no socket, and is left alone", where=str(path), hint="name another --socket-path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.settimeout(_PATIENCE)
        try:
            other.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except TimeoutError:
            pass  # Somebody has it whose queue is full.
    raise BusyError("another daemon listens here", where=str(path), hint="see: systemctl status tridentd")
