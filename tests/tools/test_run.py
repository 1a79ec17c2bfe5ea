"""`tools.run` with real programs: environment, exit codes, odd output, and ending everything that was started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import twinroot
from twinroot.errors import CommandError, MissingToolError
from twinroot.tools.run import environment, find, require, run

SOURCE = str(Path(twinroot.__file__).parent.parent)


def test_programs_see_an_explicit_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD_LIKE", "x")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "17")
    lines = run(["env"], env={"EXTRA": "two words"}).stdout.splitlines()
    values = dict(line.split("=", 1) for line in lines)
    assert values["LC_ALL"] == "C.UTF-8" and values["TZ"] == "UTC" and values["EXTRA"] == "two words"
    assert values["SOURCE_DATE_EPOCH"] == "17"
    assert "LD_PRELOAD_LIKE" not in values
    assert set(values) <= {*environment(), "EXTRA", "PWD", "_", "SHLVL"}


def test_standard_input_is_closed_unless_given() -> None:
    assert run(["cat"]).stdout == ""
    assert run(["cat"], stdin=b"given").stdout == "given"


def test_standard_error_among_standard_output() -> None:
    seen: list[str] = []
    result = run(["sh", "-c", "echo a; echo b >&2; echo c"], merged=True, on_line=seen.append)
    assert (seen, result.stdout, result.stderr) == (["a", "b", "c"], "a\nb\nc\n", "")


def test_exit_codes() -> None:
    assert run(["sh", "-c", "exit 3"], ok=(0, 3)).code == 3
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "echo out; echo 'bad thing' >&2; exit 4", "a b"], hint="do this")
    error = caught.value
    assert error.code == 4 and error.hint == "do this"
    assert error.output.splitlines()[0] == "bad thing" and "out" in error.output
    assert error.command.endswith("'a b'") and "failed with exit code 4" in str(error)


def test_a_program_killed_by_a_signal_says_so() -> None:
    with pytest.raises(CommandError, match="was killed by signal 9"):
        run(["sh", "-c", "kill -9 $$"])


def test_missing_program_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINROOT_TOOL_PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="qemu-utils"):
        run(["qemu-img", "--version"])
    with pytest.raises(MissingToolError, match="'no such program'"):
        require(["no such program"])


def test_find_gives_the_full_path() -> None:
    assert Path(find("sh")).is_absolute()


def test_undecodable_output_survives_the_way_there_and_back() -> None:
    result = run(["printf", r"a\377\376b"])
    assert os.fsencode(result.stdout) == b"a\xff\xfeb"


def test_lines_are_seen_as_they_come() -> None:
    seen: list[str] = []
    result = run(["printf", r"one\ntwo \377\n\n10 %%\r20 %%\rlast"], on_line=seen.append)
    assert seen == ["one", "two \udcff", "", "10 %", "20 %", "last"]
    assert result.stdout == "one\ntwo \udcff\n\n10 %\r20 %\rlast"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_lines_and_standard_input_together(size: int) -> None:
    data = (b"x" * 9 + b"\n") * (size // 10)
    seen: list[str] = []
    assert len(run(["cat"], stdin=data, on_line=seen.append).stdout) == len(data)
    assert len(seen) == size // 10


@pytest.mark.timeout(60)
def test_a_program_that_does_not_read_its_input_is_no_error() -> None:
    assert run(["true"], stdin=b"x" * 3_000_000, on_line=lambda _line: None).code == 0


def test_output_on_both_channels_larger_than_a_pipe() -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo 0123456789; echo 0123456789 >&2; i=$((i+1)); done"
    result = run(["sh", "-c", script])
    assert len(result.stdout) == len(result.stderr) == 220_000


# A shell that starts a child which does not hear SIGTERM, tells both process ids, and waits.
_STUBBORN = """
sh -c 'trap "" TERM HUP; echo child $$; while :; do sleep 1; done' &
echo parent $$
wait
"""
_RUNNER = """
import signal, sys
from twinroot.tools.run import run
def terminate(*_): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, terminate)
try:
    run(["sh", "-c", sys.argv[1]], on_line=lambda line: print(line, flush=True))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_whole_process_group(sig: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _RUNNER, _STUBBORN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = dict(process.stdout.readline().split() for _ in range(2))
        process.send_signal(sig)
        try:
            assert process.stdout.read().strip() == "interrupted"
        finally:
            process.kill()
    while any(_alive(int(pid)) for pid in pids.values()):
        time.sleep(0.05)


# As if the signal came in the moment in which the main thread begins to wait, which the kernel would tell it to stop.
_TOO_EARLY = """
import os, signal, threading
from twinroot.tools.run import run
def terminate(*_): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, terminate)
waits = threading.Event()
def other():
    waits.wait()
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=other).start()
def see(line):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Timer(0.2, waits.set).start()
try:
    run(["sh", "-c", "echo begun; EXEC"], on_line=see)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("waiting", ["exec sleep 30", "exec sleep 30 >&-"], ids=["for output", "for the end"])
def test_a_signal_that_comes_just_before_we_wait_is_heard(waiting: str) -> None:
    argv = [sys.executable, "-c", _TOO_EARLY.replace("EXEC", waiting)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    assert done.stdout == "interrupted\n", done.stderr


@pytest.mark.timeout(60)
def test_an_exception_in_on_line_ends_the_program() -> None:
    pids: list[int] = []

    def see(line: str) -> None:
        pids.append(int(line))
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        run(["sh", "-c", "echo $$; exec sleep 1000"], on_line=see)
    while _alive(pids[0]):
        time.sleep(0.05)


@pytest.mark.timeout(60)
def test_a_program_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"it did not end within 0\.2 s"):
        run(["sh", "-c", f"sleep 600 & echo $! > {tmp_path}/pid; wait"], timeout=0.2)
    child = int((tmp_path / "pid").read_text())
    while _alive(child):  # the kernel takes a moment
        time.sleep(0.05)
    assert run(["echo", "quick"], timeout=600).stdout == "quick\n"


def test_a_program_that_waits_on_a_full_disk_is_ended(tmp_path: Path) -> None:
    """In a mount namespace of its own, for a disk that is full; the program neither writes nor ends."""
    script = """
import sys
from pathlib import Path
from twinroot.errors import CommandError
from twinroot.tools.run import run
room = Path(sys.argv[1])
assert run(["sleep", "0.1"], room=room).code == 0
(room / "ballast").write_bytes(bytes(1 << 20))
try:
    run(["sleep", "1000"], room=room, on_line=print)
except CommandError as error:
    print(error.output)
"""
    mounted = f'mount -t tmpfs -o size=1M tmpfs {tmp_path} && exec "$@"'
    argv = ["unshare", "--mount", "--map-root-user", "sh", "-c", mounted, "sh", sys.executable, "-c", script]
    env = os.environ | {"PYTHONPATH": SOURCE}
    done = subprocess.run([*argv, str(tmp_path)], capture_output=True, text=True, check=False, env=env)
    assert done.stdout.startswith("No space left on device"), done.stderr
