"""Whatever ends a run, at whatever moment: nothing of it stays, and the next run works."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.images import Finished
from tests.images.workplace import HOSTNAME_ONLY, Workplace, check_refused

pytestmark = pytest.mark.images

_ARGUMENT = "os:\n  hostname: changed\n  kernelCommandLine:\n    extraCommandLine: [extra]\n"
# Moments spread over the run, as parts of the time that an undisturbed one takes.
_MOMENTS = [0.02, 0.15, 0.25, 0.35, 0.42, 0.5, 0.57, 0.64, 0.71, 0.78, 0.85, 0.93]
_ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def _start(place: Workplace, base: Path, output_format: str) -> subprocess.Popen[bytes]:
    arguments = place.arguments(base, _ARGUMENT, "--log-format", "json", output_format=output_format)
    argv = [sys.executable, "-m", "twinroot.cli.imagecustomizer", *map(str, arguments)]
    with (place.root / "log").open("wb") as log:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _log(place: Workplace) -> str:
    return (place.root / "log").read_text()


def _wait_for_start(place: Workplace, process: subprocess.Popen[bytes]) -> None:
    """Until the run has said something: before that, a signal meets Python itself."""
    while not _log(place) and process.poll() is None:
        time.sleep(0.002)


@pytest.fixture(scope="module")
def duration(small: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds from the first log line to the end of a run that nobody disturbs."""
    place = Workplace(tmp_path_factory.mktemp("undisturbed"))
    process = _start(place, small, "cosi")
    _wait_for_start(place, process)
    started = time.monotonic()
    assert process.wait() == 0, _log(place)
    return time.monotonic() - started


@pytest.mark.parametrize("moment", _MOMENTS)
def test_signal(moment: float, duration: float, small: Path, place: Workplace) -> None:
    number = _ENDINGS[_MOMENTS.index(moment) % 3]
    existing = place.out / "image"
    existing.write_text("what was there before")
    process = _start(place, small, "cosi")
    _wait_for_start(place, process)
    time.sleep(moment * duration)
    process.send_signal(number)
    code = process.wait(60)
    log = _log(place)
    assert "Traceback" not in log
    if "Success!" in log:
        # It was over before.
        assert existing.stat().st_size > 1000
    else:
        word = "interrupted" if number == signal.SIGINT else "terminated"
        check_refused(Finished(code, "", log), [word])
        assert existing.read_text() == "what was there before"
    assert list(place.out.iterdir()) == [existing]
    place.check_clean()


def test_second_signal_does_not_disturb_the_cleaning_up(duration: float, small: Path, place: Workplace) -> None:
    process = _start(place, small, "raw")
    _wait_for_start(place, process)
    time.sleep(duration / 2)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.003)
    assert "Traceback" not in _log(place)
    assert process.returncode == 1 or "Success!" in _log(place)
    assert (list(place.out.iterdir()) == []) == (process.returncode == 1)
    place.check_clean()


@pytest.mark.parametrize("moment", [0.1, 0.4, 0.6, 0.8])
def test_kill(moment: float, duration: float, small: Path, place: Workplace) -> None:
    process = _start(place, small, "qcow2")
    _wait_for_start(place, process)
    time.sleep(moment * duration)
    process.kill()
    process.wait()
    place.check_quiet()
    assert not (place.out / "image").exists() or "Success!" in _log(place)
    place.succeeds(small)
    assert list(place.out.iterdir()) == [place.out / "image"]


def test_second_run_in_the_same_build_directory_is_refused(small: Path, place: Workplace) -> None:
    process = _start(place, small, "raw")
    while not (place.build / "scratch").exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGSTOP)
    other = place.run(small, HOSTNAME_ONLY, output=place.root / "other")
    process.send_signal(signal.SIGCONT)
    assert process.wait() == 0, _log(place)
    check_refused(other, [str(place.build), "another run is using this build directory"])
    assert not (place.root / "other").exists()
    assert (place.out / "image").exists()
    place.check_clean()


def test_log_of_an_interrupted_run_is_whole_json(small: Path, place: Workplace) -> None:
    process = _start(place, small, "raw")
    _wait_for_start(place, process)
    process.send_signal(signal.SIGTERM)
    process.wait()
    lines = [json.loads(line) for line in _log(place).splitlines()]
    assert lines[-1]["level"] == "fatal"


def test_signals_that_were_ignored_at_the_start_stay_ignored(small: Path, place: Workplace) -> None:
    """As `nohup` and the background of a shell without job control have it."""
    arguments = place.arguments(small, _ARGUMENT, output_format="raw")
    argv = [sys.executable, "-m", "twinroot.cli.imagecustomizer", *map(str, arguments)]
    with (place.root / "log").open("wb") as log:
        nohup = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *argv]
        process = subprocess.Popen(nohup, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    _wait_for_start(place, process)
    process.send_signal(signal.SIGHUP)
    assert process.wait() == 0, _log(place)
    assert (place.out / "image").exists()
