"""A serial console: everything it showed, waiting for text on it, and running commands in the guest's shell.

A thread reads all the time, so that the guest never blocks and nothing is lost; what was received is kept as cleaned
text (`vm/text.py`) and written, untouched, to a log file. Waiting looks at what came since the last match, as a person
reading downwards does, and ends at once when the machine is seen to have failed (`vm/failures.py`) or is gone.
"""

from __future__ import annotations

import codecs
import logging
import os
import re
import secrets
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

from twinroot.errors import CommandError, InputError, MachineError
from twinroot.vm import exchange
from twinroot.vm.exchange import CommandOutput, DamagedError
from twinroot.vm.failures import find_failure
from twinroot.vm.text import clean, without_chatter

log = logging.getLogger(__name__)
T = TypeVar("T")
OnLine = Callable[[str], None]

_LOGIN = re.compile(r"(?<!Last )login: ")
_AFTER_NAME = re.compile(r"Password: |Login incorrect|[#$>%] ?\Z")
_PROBE_EVERY = 5.0
_REPRINTS = 5
# How long to go on reading after a failure was seen: its explanation comes after it.
_AFTERMATH = 1.0


class Console:
    """The console behind a file descriptor (a socket or a terminal), which it closes in the end.

    `ended` says how the machine ended; it is asked once the other end is closed.
    """

    def __init__(self, fd: int, *, log_file: Path | None = None, ended: Callable[[], str] | None = None) -> None:
        self._fd = fd
        self._ended = ended or (lambda: "the console was closed")
        self._log_path = log_file
        self._text = ""
        self._mark = 0
        self._closed = False
        self._changed = threading.Condition()
        try:
            self._log = log_file.open("ab", buffering=0) if log_file else None
        except OSError as error:
            os.close(fd)
            raise InputError(f"cannot write the console log: {error.strerror}", where=str(log_file)) from error
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._read_all, args=(self._log,), name="console", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def text(self) -> str:
        """Everything the console showed so far, cleaned."""
        with self._changed:
            return self._text

    def close(self) -> None:
        """Stop reading and close the file descriptor. What was read stays readable."""
        if self._fd < 0:
            return
        os.close(self._stop_write)
        self._thread.join()
        for fd in (self._stop_read, self._fd):
            os.close(fd)
        self._fd = -1
        if self._log:
            self._log.close()

    def send(self, text: str) -> None:
        """Type some text. A line is sent to a shell with a line feed, to firmware with a carriage return."""
        data = text.encode("utf-8", "surrogateescape")
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise self._error(f"cannot type on the console: {self._ended()}") from error

    def wait_for(
        self,
        wanted: str | re.Pattern[str],
        timeout: float,
        *,
        on_line: OnLine | None = None,
        known_failures: bool = True,
    ) -> re.Match[str]:
        """Wait until text, or a regular expression within one line, is shown after the last match.

        `timeout` is in seconds. `on_line` sees every line on the way. MachineError when the time is up, when the
        machine is gone, and (with `known_failures`) as soon as the console shows that it has failed.
        """
        regex, name = (re.compile(re.escape(wanted)), wanted) if isinstance(wanted, str) else (wanted, wanted.pattern)
        shown = self._text.rfind("\n", 0, self._mark) + 1

        def look(text: str, start: int) -> re.Match[str] | None:
            nonlocal shown
            if on_line:
                shown = _pass_lines(text, shown, on_line)
            return regex.search(text, start)

        try:
            match = self._wait(look, timeout, f"'{name}'", known_failures=known_failures, by_line=True)
        finally:
            if on_line and (rest := self.text[shown:]):
                _pass_lines(rest + "\n", 0, on_line)
        self._mark = match.end()
        return match

    def login(self, user: str = "root", password: str | None = None, timeout: float = 180.0) -> None:
        """Log in at the login prompt and wait until the shell answers."""
        deadline = time.monotonic() + timeout
        prompt = self._wait(lambda text, start: _LOGIN.search(text, start), timeout, "the login prompt", by_line=True)
        self._mark = prompt.end()
        self.send(f"{user}\n")
        answer = self._await_after_name(min(_PROBE_EVERY, _left(deadline)))
        if answer == "Password: ":
            if password is None:
                raise self._error(f"the guest wants a password for '{user}' and none was given")
            self.send(f"{password}\n")
        self.wait_shell(_left(deadline))

    def wait_shell(self, timeout: float) -> None:
        """Wait until a shell answers, whether it shows a prompt or not."""
        deadline = time.monotonic() + timeout
        tag = secrets.token_hex(4)
        what = "an answer of the shell"
        pattern = re.compile(rf"{re.escape(exchange.acknowledged(tag, 0))}|(?P<refused>Login incorrect)")
        while True:
            # The empty line first: a console may ask for Enter, and what was typed too early may be in the way.
            self.send(f"\n {exchange.probe(tag, 0)}\n")
            left = _left(deadline)
            try:
                match = self._wait(
                    lambda text, start: pattern.search(without_chatter(text[start:])),
                    min(_PROBE_EVERY, left),
                    what,
                )
            except _TimeUpError:
                if left > _PROBE_EVERY:
                    continue
                raise self._error(f"waited {timeout:.0f} s in vain for {what}") from None
            self._mark = len(self.text)
            if match["refused"]:
                raise self._error("the guest refused the login")
            return

    def run(self, command: str, timeout: float = 120.0) -> CommandOutput:
        """Run a shell command in the guest; its standard input is empty, its output comes back whole.

        A program that stays in the background must have its output redirected, or the command does not end.
        MachineError when no answer comes within `timeout` seconds or the machine fails meanwhile.
        """
        deadline = time.monotonic() + timeout
        tag = secrets.token_hex(4)
        log.debug("guest: %s", command)
        *collect, execute = exchange.script_lines(command, tag)
        for number, line in enumerate(collect):
            self.send(line + "\n")
            self._wait_acknowledged(exchange.acknowledged(tag, number), _left(deadline))
        self.send(execute + "\n")
        for _ in range(_REPRINTS):
            try:
                return self._wait_answer(tag, command, _left(deadline))
            except DamagedError:
                self._mark = len(self.text)
                tag = secrets.token_hex(4)
                self.send(exchange.reprint_line(tag) + "\n")
        raise self._error(f"the output of a command arrived damaged {_REPRINTS} times: {command}")

    def check(self, command: str, timeout: float = 120.0) -> str:
        """Run a shell command that must succeed; its output. CommandError when it does not."""
        result = self.run(command, timeout)
        if result.code != 0:
            raise CommandError(f"(in the guest) {command}", result.code, result.output)
        return result.output

    def _await_after_name(self, timeout: float) -> str | None:
        try:
            match = self._wait(lambda text, start: _AFTER_NAME.search(text, start), timeout, "an answer to the login")
        except _TimeUpError:
            return None
        self._mark = match.end()
        return match[0]

    def _wait_acknowledged(self, line: str, timeout: float) -> None:
        self._wait(lambda text, start: line in without_chatter(text[start:]) or None, timeout, "the shell to read on")
        self._mark = len(self.text)

    def _wait_answer(self, tag: str, command: str, timeout: float) -> CommandOutput:
        what = f"the end of the command: {command}"
        answer = self._wait(lambda text, start: exchange.parse(text[start:], tag), timeout, what)
        self._mark = len(self.text)
        log.debug("guest: exit code %d\n%s", answer.code, answer.output)
        return answer

    def _wait(
        self,
        look: Callable[[str, int], T | None],
        timeout: float,
        what: str,
        *,
        known_failures: bool = True,
        by_line: bool = False,
    ) -> T:
        """The one waiting loop: `look` gets the whole text and where to begin, and is asked again when more came.

        `by_line`: it need not see complete lines again.
        """
        deadline = time.monotonic() + timeout
        start = fresh = self._mark
        while True:
            with self._changed:
                text, closed = self._text, self._closed
            found = look(text, start)
            if found is not None:
                return found
            if known_failures and (failure := find_failure(text, fresh)):
                self._sleep_for_more(len(text), _AFTERMATH, to_the_end=True)
                raise self._error(f"{failure.meaning} ('{failure.line}') while waiting for {what}", failure.hint)
            if closed:
                raise self._error(f"{self._ended()} while waiting for {what}")
            if time.monotonic() >= deadline:
                raise _TimeUpError(*self._report(f"waited {timeout:.0f} s in vain for {what}"))
            fresh = max(fresh, text.rfind("\n") + 1)
            start = fresh if by_line else start
            self._sleep_for_more(len(text), deadline - time.monotonic())

    def _sleep_for_more(self, seen: int, timeout: float, *, to_the_end: bool = False) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (len(self._text) > seen and not to_the_end), timeout)

    def _report(self, message: str) -> tuple[str, str]:
        kept = f"{message}\nthe complete log is in {self._log_path}" if self._log_path else message
        return f"{kept}\nthe console ends with:", self.text

    def _error(self, message: str, hint: str | None = None) -> MachineError:
        return MachineError(*self._report(message), hint=hint)

    def _read_all(self, log_file: IO[bytes] | None) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        while data := self._read():
            if log_file:
                log_file.write(data)
            text, rest = clean(rest + decoder.decode(data))
            with self._changed:
                self._text += text
                self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _read(self) -> bytes:
        """The next bytes; none at the end, which a terminal reports as an error (EIO) and we by closing the pipe."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._stop_read, select.POLLIN)
        ready = {fd for fd, _event in poll.poll()}
        if self._fd not in ready:
            return b""
        try:
            return os.read(self._fd, 65536)
        except OSError:
            return b""


class _TimeUpError(MachineError):
    """The time is up, and nothing else is wrong."""


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _pass_lines(text: str, start: int, on_line: OnLine) -> int:
    """Hand the complete lines from offset `start` on; the offset of the line that is not complete."""
    end = text.rfind("\n", start) + 1
    if end <= start:
        return start
    for line in text[start : end - 1].split("\n"):
        on_line(line)
    return end
