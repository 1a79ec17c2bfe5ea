"""The error tree: every failure that a person can cause or must act on.

    TwinrootError
    ├── InputError           what was handed to us is wrong: fix the input
    │   ├── UsageError       the command line, whatever the files that it names hold
    │   ├── ConfigError      the configuration file(s); carries every problem found, with its place
    │   └── FormatError      an image, archive or table whose bytes break the rules of its format
    ├── HostError            the machine we run on lacks something: fix the machine
    │   ├── MissingToolError a program is not installed; names its package
    │   ├── NoSpaceError     a disk, an image or a partition is full
    │   ├── NetworkError     a server cannot be reached, or keeps failing
    │   └── BusyError        somebody else is using what we need
    ├── CommandError         another program failed; carries the command and what it printed
    ├── MachineError         a virtual machine ended, hung or did not come up; carries the end of its console
    └── InternalError        a defect of ours: report it

Errors are sorted by who must act. Each says what happened (`message`), where (`where`: a file:line:column,
a device, a URL) and what to do next (`hint`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TwinrootError(Exception):
    """Base of every error that ends a command with a clear message instead of a traceback."""

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class InputError(TwinrootError):
    """What was handed to us is wrong: an argument, a file, an image."""


class UsageError(InputError):
    """The command line is wrong, whatever the files that it names hold."""


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a configuration file. `line` and `column` count from 1; 0 means the whole file.

    `text` is the source line, where it is known, for showing the place on a terminal. `code` is the name that the peer
    has for the error.
    """

    file: str
    line: int
    column: int
    key: str
    message: str
    hint: str | None = None
    text: str | None = None
    code: str | None = None

    @property
    def where(self) -> str:
        """`file:line:column`, or the file alone when no place is known."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        code = f" [{self.code}]" if self.code else ""
        return f"{self.where}: {key}{self.message}{hint}{code}"


class ConfigError(InputError):
    """One or more problems in configuration files, in the order of their places."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.column)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class FormatError(InputError):
    """Bytes that break the rules of their format."""


class HostError(TwinrootError):
    """The machine we run on lacks something that we need."""


class MissingToolError(HostError):
    """A program is not installed."""

    def __init__(self, program: str, package: str | None) -> None:
        hint = f"install it, for example: apt-get install {package}" if package else "install it and try again"
        super().__init__(f"the program '{program}' is not installed", hint=hint)
        self.program = program
        self.package = package


class NoSpaceError(HostError):
    """There is no room left where we write."""


class NetworkError(HostError):
    """A server cannot be reached, or keeps failing; asking again later may help."""


class BusyError(HostError):
    """Somebody else is using what we need."""


class CommandError(TwinrootError):
    """Another program ended with an error.

    `command` can be pasted into a shell; `output` is the end of what it printed (standard error first).
    """

    def __init__(self, command: str, code: int, output: str, *, hint: str | None = None) -> None:
        last = output.strip().splitlines()[-12:]
        shown = "".join(f"\n  | {line}" for line in last)
        ended = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
        super().__init__(f"command {ended}: {command}{shown}", hint=hint)
        self.command = command
        self.code = code
        self.output = output


class MachineError(TwinrootError):
    """A virtual machine ended, hung or did not come up as expected.

    `console` is the end of what its serial console showed.
    """

    def __init__(self, message: str, console: str = "", *, where: str | None = None, hint: str | None = None) -> None:
        last = [line for line in console.splitlines() if line.strip()][-30:]
        shown = "".join(f"\n  | {line}" for line in last)
        super().__init__(f"{message}{shown}", where=where, hint=hint)
        self.console = console


class InternalError(TwinrootError):
    """A defect of ours."""
