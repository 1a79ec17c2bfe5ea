"""Health checks as they run: real scripts, and units of a systemctl that answers as the test says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.isolated import isolated

from twinroot.agent.errors import ServicingError
from twinroot.agent.health.checks import keep_failures, run_checks, write_log
from twinroot.agent.health.verdict import Failure
from twinroot.agent.scripts import due, environment_of, load
from twinroot.agent.states import ServicingType
from twinroot.config.host.health import Check
from twinroot.config.host.scripts import Script
from twinroot.errors import HostError
from twinroot.tools.run import SEARCH_PATH

AB, INSTALL = ServicingType.AB_UPDATE, ServicingType.CLEAN_INSTALL


def check(**fields: object) -> Check:
    return Check.model_validate({"runOn": ["all"], **fields}, by_alias=True, by_name=False)


@pytest.mark.parametrize(
    ("run_on", "servicing", "runs"),
    [
        ([], AB, False),
        (["all"], AB, True),
        (["all"], ServicingType.NONE, True),
        (["ab-update"], AB, True),
        (["ab-update"], INSTALL, False),
        (["clean-install", "runtime-update"], ServicingType.RUNTIME_UPDATE, True),
        (["ab-update"], ServicingType.MANUAL_ROLLBACK_AB, False),
    ],
)
def test_when_something_runs(run_on: list[str], servicing: ServicingType, runs: bool) -> None:
    script = Script.model_validate({"runOn": run_on, "content": "true"}, by_alias=True, by_name=False)
    assert bool(due((script,), servicing)) == runs


@pytest.mark.parametrize(
    ("servicing", "name"),
    [
        (ServicingType.NONE, "none"),
        (INSTALL, "clean_install"),
        (AB, "ab_update"),
        (ServicingType.RUNTIME_UPDATE, "runtime_update"),
        (ServicingType.MANUAL_ROLLBACK_AB, "manual_rollback_ab"),
        (ServicingType.MANUAL_ROLLBACK_RUNTIME, "manual_rollback_runtime"),
    ],
)
def test_the_environment_of_scripts(servicing: ServicingType, name: str) -> None:
    script = check(content="true", environmentVariables={"TARGET_ROOT": "mine", "OTHER": "kept"})
    assert environment_of(script, servicing, "/mnt", "http://a") == {
        "TARGET_ROOT": "/mnt",
        "OTHER": "kept",
        "SERVICING_TYPE": name,
        "PHONEHOME_URL": "http://a",
    }


def test_scripts_run_with_their_environment_and_arguments(tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = f'echo "$SERVICING_TYPE $TARGET_ROOT $WHO $1" > {out}'
    good = check(content=text, arguments=["two words"], environmentVariables={"WHO": "me"})
    assert run_checks((good,), AB) == ()
    assert out.read_text() == "ab_update / me two words\n"


def test_each_failure_is_told_with_the_end_of_what_was_printed(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("print('py\\x1bthon'); raise SystemExit(7)")
    found = run_checks(
        (
            check(content="echo fine"),
            check(name="web", content="echo no answer >&2; exit 3"),
            check(path=str(tmp_path / "script"), interpreter="/usr/bin/python3"),
            check(path=str(tmp_path / "none")),
            check(content="true", interpreter="/no/such/shell"),
            check(content="exit 1", runOn=["clean-install"]),
            check(content="kill -9 $$"),
        ),
        AB,
    )
    assert [(failure.check, failure.why.splitlines()[0]) for failure in found] == [
        ("health.checks[1] (web)", "it ended with exit code 3"),
        (f"health.checks[2] ({tmp_path}/script)", "it ended with exit code 7"),
        (f"health.checks[3] ({tmp_path}/none)", f"the script: there is no file {tmp_path}/none"),
        ("health.checks[4]", "the program '/no/such/shell' is not installed"),
        ("health.checks[6]", "it ended with signal 9"),
    ]
    assert "  | no answer" in found[0].why
    assert "  | py\N{REPLACEMENT CHARACTER}thon" in found[1].why


def test_scripts_that_will_run_are_read_beforehand(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text("true")
    first = Script.model_validate({"runOn": ["ab-update"], "path": str(path)}, by_alias=True, by_name=False)
    other = Script.model_validate({"path": str(tmp_path / "none")}, by_alias=True, by_name=False)
    assert [loaded.text for loaded in load((other, first), "scripts.postProvision", AB)] == [b"true"]
    path.unlink()
    with pytest.raises(ServicingError, match=r"scripts\.postProvision\[1\]") as caught:
        load((other, first), "scripts.postProvision", AB)
    assert caught.value.record()["error"] == {"invalid-host-configuration-dynamic": {"inner": "invalid-script-path"}}


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a file for each active unit, as a systemctl in the search path sees it."""
    state, programs = tmp_path / "units", tmp_path / "bin"
    state.mkdir()
    programs.mkdir()
    systemctl = programs / "systemctl"
    systemctl.write_text(
        f"""#!/bin/sh
for unit; do :; done
echo "$unit" >> {tmp_path}/asked
[ "$unit" = slow ] && [ "$(grep -c slow {tmp_path}/asked)" -gt 2 ] && touch {state}/slow
if [ -e {state}/$unit ]; then echo "     Active: active (running)"; exit 0; fi
[ "$unit" = gone ] && {{ echo "Unit gone.service could not be found." >&2; exit 4; }}
echo "     Active: inactive (dead)"; exit 3
"""
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("TWINROOT_TOOL_PATH", f"{programs}:{SEARCH_PATH}")
    return state


def test_units_are_waited_for(units: Path) -> None:
    (units / "ready").touch()
    assert run_checks((check(systemdServices=["ready", "slow"], timeoutSeconds=60),), INSTALL) == ()


def test_units_that_do_not_become_active(units: Path) -> None:
    (units / "ready").touch()
    found = run_checks((check(name="up", systemdServices=["ready", "dead", "gone"], timeoutSeconds=0),), INSTALL)
    assert found == (
        Failure("health.checks[0] (up)", "dead did not become active within 0 s: Active: inactive (dead)"),
        Failure(
            "health.checks[0] (up)", "gone did not become active within 0 s: Unit gone.service could not be found."
        ),
    )


def test_without_systemctl_units_are_not_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINROOT_TOOL_PATH", str(tmp_path))
    (found,) = run_checks((check(systemdServices=["a"], timeoutSeconds=0),), INSTALL)
    assert "systemctl" in found.why


def test_checks_run_at_the_same_time(tmp_path: Path) -> None:
    """Each waits for what the other makes."""
    wait = "while ! [ -e {0}/{2} ]; do touch {0}/{1}; sleep 0.05; done; touch {0}/{1}"
    both = [check(content=wait.format(tmp_path, *names)) for names in (("a", "b"), ("b", "a"))]
    assert run_checks(both, AB) == ()


def test_the_log_of_failed_checks(tmp_path: Path) -> None:
    path = write_log(tmp_path, (Failure("a", "b\nc"),), datetime(2026, 1, 2, tzinfo=UTC))
    assert path.read_text() == "a: b\nc\n"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(HostError, match="cannot be written"):
        write_log(tmp_path / "none", (), datetime(2026, 1, 2, tzinfo=UTC))


def test_what_cannot_even_be_started_has_failed() -> None:
    """No room for the script is no proof of health."""
    found = isolated("""
from twinroot.agent.health.checks import run_checks
from twinroot.agent.states import ServicingType
from twinroot.config.host.health import Check
from twinroot.sandbox.mounts import Mounts
with Mounts() as mounts:
    for place in map(Path, ("/tmp", "/var/tmp", "/dev/shm", "/run")):
        if place.is_dir():
            mounts.tmpfs(place, "mode=1777,size=4k")
            (place / "filler").write_bytes(b"x" * 4096)
    check = Check.model_validate({"name": "a", "content": "true", "runOn": ["all"]})
    failures = run_checks([check], ServicingType.AB_UPDATE)
print(json.dumps([failure.why for failure in failures]))
""")
    assert len(found) == 1


def test_a_log_that_cannot_be_kept_keeps_no_machine_from_going_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep_failures(tmp_path / "none", [Failure("a", "b")])
    assert "the log of the health checks cannot be written" in caplog.text
