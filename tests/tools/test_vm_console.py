"""The console against real shells on a real terminal, with somebody else printing into it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from twinroot.errors import CommandError, InputError, MachineError
from twinroot.tools.run import start, stop
from twinroot.vm.console import Console

Open = Callable[..., Console]

SHELLS = [["sh", "-i"], ["bash", "--norc", "-i"]]
LOGIN = r"""
printf 'Debian GNU/Linux\nLast login: never\nhost login: '; read name
printf 'Password: '; stty -echo; read password; stty echo
[ "$name:$password" = admin:secret ] || { printf '\nLogin incorrect\n'; exit 1; }
exec sh -i
"""


@pytest.fixture
def open_console() -> Iterator[Open]:
    """Starts a program on a terminal and gives its console."""
    with ExitStack() as undo:

        def opened(*command: str, log_file: Path | None = None) -> Console:
            ours, theirs = os.openpty()
            process = start(command, stdin=theirs, stdout=theirs, stderr=theirs)
            undo.callback(stop, process)
            os.close(theirs)
            return undo.enter_context(Console(ours, log_file=log_file, ended=lambda: "the program ended"))

        yield opened


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_commands_come_back_whole(open_console: Open, shell: list[str]) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]} here")
    console = open_console(*shell)
    console.wait_shell(60)
    result = console.run("echo out; echo err >&2; exit 3")
    assert (result.code, result.output) == (3, "out\nerr\n")
    assert console.check("""printf '%s' "it's" ' "$HOME!"' '\t|'""") == """it's "$HOME!"\t|"""
    assert console.check("for i in 1 2\ndo echo $i\ndone") == "1\n2\n"
    assert console.check("cat") == ""
    assert console.check("printf '\\377' | od -An -tx1").split() == ["ff"]
    assert len(console.check("seq 20000").splitlines()) == 20000
    long = "a b" * 3000
    assert console.check(f"printf '%s' '{long}'") == long
    with pytest.raises(CommandError, match=r"exit code 7.*\n.*why"):
        console.check("echo why; exit 7")


def test_kernel_messages_in_between_do_no_harm(open_console: Open) -> None:
    console = open_console("sh", "-i")
    console.wait_shell(60)
    console.send("(while :; do printf '[   12.345678] noise from a driver\\n'; sleep 0.003; done) &\n")
    for number in range(20):
        assert console.check(f"seq {number * 100}") == "".join(f"{n + 1}\n" for n in range(number * 100))
    console.send("kill $!\n")


def test_other_messages_in_between_cost_another_try(open_console: Open) -> None:
    console = open_console("sh", "-i")
    console.wait_shell(60)
    # The first two answers are damaged on their way to the terminal.
    damage = "command printf \"$@\" | sed '3s/^/a daemon/'"
    once_more = f"case $1 in *'<<'*) [ $((n += 1)) -gt 2 ] || {{ {damage}; return; }};; esac"
    console.send(f'printf() {{ {once_more}; command printf "$@"; }}\n')
    assert console.check("echo fine") == "fine\n"


def test_login(open_console: Open) -> None:
    console = open_console("sh", "-c", LOGIN)
    console.login("admin", "secret", timeout=60)
    assert console.check("echo in") == "in\n"


@pytest.mark.parametrize(("password", "message"), [("wrong", "refused the login"), (None, "wants a password")])
def test_refused_login(open_console: Open, password: str | None, message: str) -> None:
    console = open_console("sh", "-c", LOGIN)
    with pytest.raises(MachineError, match=message):
        console.login("admin", password, timeout=60)


def test_waiting_reads_on_from_the_last_match(open_console: Open) -> None:
    console = open_console("sh", "-c", "printf 'first line\\nkey=1\\nkey=2\\npart'; read x; echo 'ial key=3'; read x")
    lines: list[str] = []
    assert console.wait_for(re.compile(r"key=(\d)"), 60)[1] == "1"
    assert console.wait_for(re.compile(r"^key=(\d)$", re.MULTILINE), 60, on_line=lines.append)[1] == "2"
    console.wait_for("part", 60)
    console.send("\n")
    assert console.wait_for(re.compile(r"key=(\d)"), 60, on_line=lines.append)[1] == "3"
    assert "key=2" in lines
    assert lines[-1] == "ial key=3"


def test_the_log_is_complete_and_untouched(open_console: Open, tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    console = open_console("sh", "-c", "printf '\\033[1mbold\\033[0m end\\n'", log_file=log)
    console.wait_for("bold end", 60)
    with pytest.raises(MachineError) as error:
        console.wait_for("more", 60)
    assert log.read_bytes() == b"\x1b[1mbold\x1b[0m end\r\n"
    assert str(log) in str(error.value)


def test_a_log_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    with pytest.raises(InputError, match="console log"):
        Console(ours, log_file=tmp_path / "no" / "console.log")
    os.close(theirs)


def test_an_end_ends_the_wait(open_console: Open) -> None:
    console = open_console("sh", "-c", "echo last words")
    with pytest.raises(MachineError, match="the program ended while waiting for 'never'") as error:
        console.wait_for("never", 600)
    assert "| last words" in str(error.value)


def test_a_known_failure_ends_the_wait_unless_it_is_expected(open_console: Open) -> None:
    panic = "echo 'Kernel panic - not syncing: trial'; echo ' trace'; read x; echo 'second boot'; read x"
    console = open_console("sh", "-c", panic)
    with pytest.raises(MachineError, match="the kernel panicked") as error:
        console.wait_for("second boot", 600)
    assert "| trace" in str(error.value).replace("|  ", "| ")
    console.send("\n")
    console.wait_for("second boot", 60, known_failures=False)


def test_the_time_limit_counts(open_console: Open) -> None:
    console = open_console("sh", "-c", "echo started; read x")
    console.wait_for("started", 60)
    with pytest.raises(MachineError, match=r"in vain for 'never'(.|\n)*\| started"):
        console.wait_for("never", 0.2)
