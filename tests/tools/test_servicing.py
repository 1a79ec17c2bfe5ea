"""Commands of the agent as far as they come without a machine of their own: what they refuse, and what they keep."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.isolated import isolated
from tests.unit.agent.small_cosi import write_cosi
from tests.unit.agent.statuses import HASHES, TEXT, config, status

from twinroot.agent.boot.efi_variables import EfiVariables, Set
from twinroot.agent.boot.ukis import SELECTED
from twinroot.agent.datastore import Datastore
from twinroot.agent.decide import Allowed
from twinroot.agent.errors import STAGING_BEGAN, ServicingError
from twinroot.agent.host_status import HostStatus
from twinroot.agent.servicing.agent import Agent, Outcome, Result, service
from twinroot.agent.servicing.commit import commit, expected_volume, without_status
from twinroot.agent.servicing.initrd_needs import needs_new_initrd, without_effect
from twinroot.agent.servicing.install import install
from twinroot.agent.servicing.ledger import Ledger
from twinroot.agent.servicing.machine import boot_partition, os_release, root_device
from twinroot.agent.servicing.roll_back import roll_back
from twinroot.agent.servicing.update import update
from twinroot.agent.states import State
from twinroot.config.host.config import HostConfig
from twinroot.config.load_host import parse_host_config
from twinroot.errors import FormatError, MissingToolError
from twinroot.formats.cosi.reader import open_cosi
from twinroot.formats.efi_boot import write_text

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="servicing needs root")

BOTH, STAGE, FINALIZE = Allowed(), Allowed(finalize=False), Allowed(stage=False)


@dataclass(frozen=True)
class Place:
    """A datastore and an image in folders of the test's own."""

    agent: Agent
    image: Path

    def put(self, found: HostStatus) -> None:
        """Give the machine a status."""
        with Datastore.create(self.agent.datastore) as datastore:
            datastore.write(found)

    def status(self) -> HostStatus:
        """The status of the machine."""
        with Datastore.open(self.agent.datastore) as datastore:
            found = datastore.status()
        assert found is not None
        return found

    def run(self, work: Callable[[Agent, Ledger], Result]) -> Result:
        """Run a command."""
        return service(self.agent, lambda ledger: work(self.agent, ledger))

    def config(self, more: str = "") -> HostConfig:
        """A configuration with the image."""
        with open_cosi(self.image) as cosi:
            digest = cosi.metadata_sha384
        found = config(more=more)
        assert found.image is not None
        image = found.image.model_copy(update={"url": f"file://{self.image}", "sha384": digest})
        return found.model_copy(update={"image": image})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "efivars").mkdir()
    agent = Agent(tmp_path / "datastore.sqlite", EfiVariables(tmp_path / "efivars"), lock=tmp_path / "run/lock")
    return Place(agent, write_cosi(tmp_path / "os.cosi", b"root" * 1000))


def test_a_machine_without_a_status(place: Place) -> None:
    with pytest.raises(ServicingError, match="there is no datastore") as caught:
        place.run(commit)
    assert caught.value.name == "host-not-provisioned"
    place.put(HostStatus(is_management_os=True))
    with pytest.raises(ServicingError, match="was not installed yet"):
        place.run(commit)


def test_one_command_at_a_time(place: Place, tmp_path: Path) -> None:
    """One that is refused leaves the log of the one that runs."""
    log = tmp_path / "full.log"
    place = replace(place, agent=replace(place.agent, log_file=log))
    place.put(status(State.PROVISIONED, config()))
    place.agent.lock.parent.mkdir()
    with place.agent.lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        log.write_text("of the command that runs")
        with pytest.raises(ServicingError) as caught:
            place.run(commit)
        assert caught.value.name == "servicing-active"
        assert log.read_text() == "of the command that runs"
    place.run(commit)
    assert log.read_text() == ""
    assert place.run(commit) == Result(Outcome.DONE)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (FormatError("bad"), "corrupt-os-image"),
        (MissingToolError("x", None), "missing-binary"),
        (FileNotFoundError(2, "gone", "/x"), "internal"),
        (ServicingError("deploy-images", "no"), "deploy-images"),
    ],
)
def test_errors_are_kept_by_name(place: Place, error: Exception, name: str) -> None:
    place.put(status(State.PROVISIONED, config()))

    def work(_agent: Agent, _ledger: Ledger) -> Result:
        raise error

    with pytest.raises(ServicingError) as caught:
        place.run(work)
    assert (caught.value.name, place.status().last_error["error"]) == (name, name)


@pytest.mark.parametrize("name", ["deploy-images", STAGING_BEGAN])
def test_the_error_of_an_earlier_command_is_forgotten(place: Place, name: str) -> None:
    """But that of a half that is not whole stays until there is a whole one."""
    error = ServicingError(name, "no").record()
    place.put(status(State.PROVISIONED, place.config(), last_error=error))
    place.run(lambda agent, ledger: roll_back(agent, ledger, None, BOTH))  # to which there is nothing
    assert place.status().last_error == error
    left = error if name == STAGING_BEGAN else None
    place.run(lambda agent, ledger: update(agent, ledger, place.config(), BOTH))
    assert place.status().last_error == left


def test_why_a_new_system_failed_is_kept_for_its_report(place: Place) -> None:
    error = ServicingError("health-checks-failed", "web is down").record()
    found = status(State.AB_UPDATE_HEALTH_CHECK_FAILED, place.config(), place.config(), last_error=error)
    place.put(found)
    with pytest.raises(ServicingError) as caught:
        place.run(lambda agent, ledger: roll_back(agent, ledger, None, BOTH))
    assert caught.value.hint == "restart the machine: it goes back to its old system by itself"


def test_the_configuration_that_is_there_already(place: Place) -> None:
    place.put(status(State.PROVISIONED, place.config()))
    assert place.run(lambda agent, ledger: update(agent, ledger, place.config(), BOTH)) == Result(Outcome.DONE)
    assert place.status() == status(State.PROVISIONED, place.config())


def test_what_need_not_be_applied_is_kept(place: Place) -> None:
    place.put(status(State.PROVISIONED, place.config()))
    new = place.config("health: {checks: [{content: 'true', runOn: [all]}]}\n")
    assert place.run(lambda agent, ledger: update(agent, ledger, new, BOTH)) == Result(Outcome.DONE)
    assert place.status().spec == new


def test_only_what_is_allowed(place: Place) -> None:
    place.put(status(State.PROVISIONED, place.config()))
    new = place.config("os: {hostname: new}\n")
    for allowed in (FINALIZE, Allowed(False, False)):
        assert place.run(lambda agent, ledger: update(agent, ledger, new, allowed)) == Result(Outcome.DONE)  # noqa: B023
    assert place.status() == status(State.PROVISIONED, place.config())


def test_storage_that_no_update_can_change(place: Place) -> None:
    place.put(status(State.PROVISIONED, place.config()))
    new = place.config("os: {hostname: new}\n")
    disks = (new.storage.disks[0].model_copy(update={"device": "/dev/vdb"}),)
    new = new.model_copy(update={"storage": new.storage.model_copy(update={"disks": disks})})
    with pytest.raises(ServicingError, match=r"cannot change storage\.disks"):
        place.run(lambda agent, ledger: update(agent, ledger, new, BOTH))
    found = place.status()
    assert (found.servicing_state, found.spec) == (State.PROVISIONED, place.config())
    assert found.last_error["error"] == "storage-configuration-changed"


def test_the_half_that_runs_is_never_written(place: Place) -> None:
    """The status says that A runs, but / is elsewhere: then nobody knows which half is free."""
    paths = {name: f"/dev/disk/by-partuuid/{name}" for name in ("esp", "root-a", "root-b", "state")}
    place.put(status(State.PROVISIONED, place.config(), ab_active_volume="volume-a", partition_paths=paths))
    new = place.config("os: {hostname: new}\n")
    with pytest.raises(ServicingError) as caught:
        place.run(lambda agent, ledger: update(agent, ledger, new, BOTH))
    assert caught.value.name == "root-device-path-ab-active-volume-mismatch"


def test_an_image_that_is_another_than_was_meant(place: Place) -> None:
    place.put(status(State.PROVISIONED, place.config()))
    new = place.config()
    assert new.image is not None
    new = new.model_copy(update={"image": new.image.model_copy(update={"sha384": "0" * 96})})
    with pytest.raises(ServicingError, match="SHA-384 of the metadata") as caught:
        place.run(lambda agent, ledger: update(agent, ledger, new, BOTH))
    assert caught.value.name == "load-cosi"


@pytest.fixture
def other_root(tmp_path: Path) -> Iterator[str]:
    """A device that / is not on."""
    (tmp_path / "half").write_bytes(bytes(4096))
    argv = ["losetup", "--find", "--show", str(tmp_path / "half")]
    device = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    yield device
    subprocess.run(["losetup", "--detach", device], check=True)


def test_a_machine_whose_halves_are_not_there_yet(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no proof that it started its old root: nothing is judged."""
    monkeypatch.setattr("twinroot.agent.servicing.commit.PATIENCE", 1)
    paths = {name: f"/dev/disk/by-partuuid/{name}" for name in ("esp", "root-a", "root-b", "state")}
    found = status(State.AB_UPDATE_FINALIZED, place.config(), place.config(), partition_paths=paths)
    place.put(found)
    with pytest.raises(ServicingError, match="root-a, from which the machine should have started, is not there"):
        place.run(commit)
    assert place.status().servicing_state is State.AB_UPDATE_FINALIZED


def test_a_machine_that_started_its_old_root(place: Place, other_root: str) -> None:
    old, new = place.config(), place.config("os: {hostname: new}\n")
    paths = {name: f"/dev/disk/by-partuuid/{name}" for name in ("esp", "root-a", "state")}
    more = {"ab_active_volume": "volume-a", "partition_paths": {**paths, "root-b": other_root}}
    place.put(status(State.AB_UPDATE_FINALIZED, new, old, **more))
    result = place.run(commit)
    assert result.outcome is Outcome.DONE
    assert result.error is not None
    assert result.error.name == "ab-update-reboot-check"
    found = place.status()
    assert (found.servicing_state, found.spec, found.ab_active_volume) == (State.PROVISIONED, old, "volume-a")
    assert found.last_error["error"] == "ab-update-reboot-check"
    assert place.run(lambda agent, ledger: roll_back(agent, ledger, None, BOTH)) == Result(Outcome.DONE)
    assert place.status() == found


def test_a_root_without_a_second_half_is_not_written(place: Place) -> None:
    """An update would change the system that runs."""
    pair = "  abUpdate: {volumePairs: [{id: root, volumeAId: root-a, volumeBId: root-b}]}\n"

    def without_pair(image: str) -> HostConfig:
        text = (TEXT % HASHES[image]).replace(pair, "").replace("deviceId: root,", "deviceId: root-a,")
        return parse_host_config(text, "host.yaml").config

    old, new = without_pair("1"), without_pair("2")
    assert place.config().image and new.image
    new = new.model_copy(update={"image": place.config().image})
    place.put(status(State.PROVISIONED, old))
    with pytest.raises(ServicingError, match="/ has only one place"):
        place.run(lambda agent, ledger: update(agent, ledger, new, BOTH))
    assert place.status().servicing_state is State.PROVISIONED


def test_the_datastore_cannot_move(place: Place) -> None:
    place.put(status(State.PROVISIONED, place.config()))
    new = place.config("trident: {datastorePath: /var/lib/trident/other.sqlite}\n")
    with pytest.raises(ServicingError, match="cannot move the datastore") as caught:
        place.run(lambda agent, ledger: update(agent, ledger, new, BOTH))
    assert caught.value.record()["error"] == {"invalid-host-configuration-dynamic": {"inner": "datastore-path-changed"}}
    assert place.status().spec == place.config()


def test_what_was_staged_is_what_is_asked_for(place: Place) -> None:
    place.put(status(State.MANUAL_ROLLBACK_RUNTIME_STAGED, place.config(), place.config()))
    with pytest.raises(ServicingError, match="of the kind runtime, not ab"):
        place.run(lambda agent, ledger: roll_back(agent, ledger, "ab", FINALIZE))
    assert place.status().servicing_state is State.MANUAL_ROLLBACK_RUNTIME_STAGED


def test_an_installation_can_be_tried_again(place: Place) -> None:
    """What failed before anything was begun leaves no machine behind that is installed."""
    missing = config()
    assert missing.image
    missing = missing.model_copy(update={"image": missing.image.model_copy(update={"url": "file:///none.cosi"})})

    def work(agent: Agent, ledger: Ledger) -> Result:
        return install(agent, ledger, missing, BOTH, multiboot=False)

    for _time in range(2):
        with pytest.raises(ServicingError) as caught:
            service(place.agent, lambda ledger: work(place.agent, ledger), installing=True)
        assert caught.value.name in ("load-cosi", "clean-install-on-provisioned-host")
        assert "installed already" not in caught.value.message


def test_nothing_is_judged_before_the_restart(place: Place) -> None:
    """The firmware starts the other half next time: the update has not failed."""
    old, new = place.config(), place.config("os: {hostname: new}\n")
    place.put(status(State.AB_UPDATE_FINALIZED, new, old, ab_active_volume="volume-a"))
    place.agent.note_arming()
    place.agent.note_standing_down()
    assert not place.agent.restart_is_due
    place.agent.note_arming()
    assert place.run(commit) == Result(Outcome.DONE)
    assert place.status().servicing_state is State.AB_UPDATE_FINALIZED


def test_a_trial_of_a_half_that_the_status_does_not_know_goes_on(place: Place) -> None:
    paths = {name: f"/dev/disk/by-partuuid/{name}" for name in ("esp", "root-a", "root-b", "state")}
    provisioned = status(
        State.PROVISIONED, place.config("os: {hostname: a}\n"), ab_active_volume="volume-a", partition_paths=paths
    )
    place.put(provisioned)
    assert place.run(commit) == Result(Outcome.DONE)
    place.agent.variables.carry_out([Set(SELECTED, write_text("vmlinuz-1-azlb0-trident-trial.conf"))])
    with pytest.raises(ServicingError, match="but / is not on") as caught:
        place.run(commit)
    assert caught.value.name == "root-device-path-ab-active-volume-mismatch"


def test_a_trial_without_a_datastore_is_no_success(place: Place) -> None:
    without_status(place.agent)
    place.agent.variables.carry_out([Set(SELECTED, write_text("vmlinuz-1-azlb0-trident-trial.conf"))])
    with pytest.raises(ServicingError, match="is on trial, but there is no datastore"):
        without_status(place.agent)


def test_an_update_that_runs_already_is_not_given_up(place: Place) -> None:
    """Its boot files are those of the system that runs, whatever the status still says."""
    old, new = place.config(), place.config("os: {hostname: new}\n")
    paths = {name: f"/dev/disk/by-partuuid/{name}" for name in ("esp", "root-a", "root-b", "state")}
    finalized = status(State.AB_UPDATE_FINALIZED, new, old, ab_active_volume="volume-a", partition_paths=paths)
    place.put(finalized)
    other = place.config("os: {hostname: other}\n")
    with pytest.raises(ServicingError, match="but / is not on"):
        place.run(lambda agent, ledger: update(agent, ledger, other, BOTH))
    assert place.status().servicing_state is State.AB_UPDATE_FINALIZED


def test_nothing_to_commit_and_nothing_to_go_back_to(place: Place) -> None:
    place.put(status(State.PROVISIONED, place.config()))
    assert place.run(commit) == Result(Outcome.DONE)
    assert place.run(lambda agent, ledger: roll_back(agent, ledger, None, BOTH)) == Result(Outcome.DONE)
    place.put(status(State.AB_UPDATE_STAGED, place.config(), place.config()))
    with pytest.raises(ServicingError, match="cannot be rolled back") as caught:
        place.run(lambda agent, ledger: roll_back(agent, ledger, None, STAGE))
    assert caught.value.hint and "specOld" in caught.value.hint


@pytest.mark.parametrize(
    ("state", "active", "expected"),
    [
        (State.CLEAN_INSTALL_FINALIZED, None, "volume-a"),
        (State.AB_UPDATE_FINALIZED, "volume-a", "volume-b"),
        (State.AB_UPDATE_FINALIZED, "volume-b", "volume-a"),
        (State.AB_UPDATE_HEALTH_CHECK_FAILED, "volume-b", "volume-b"),
        (State.MANUAL_ROLLBACK_AB_FINALIZED, "volume-b", "volume-a"),
    ],
)
def test_which_half_should_have_started(state: State, active: str | None, expected: str) -> None:
    assert expected_volume(status(state, config(), ab_active_volume=active)) == expected


@pytest.mark.parametrize(
    ("more", "needed"),
    [
        ("", False),
        ("os: {hostname: a, services: {enable: [b]}}\n", False),
        ("os: {additionalFiles: [{destination: /etc/motd, content: a}]}\n", False),
        ("os: {additionalFiles: [{destination: //etc/modprobe.d/x.conf, content: a}]}\n", True),
        ("os: {additionalFiles: [{destination: /etc/dracut.conf, content: a}]}\n", True),
        ("os: {modules: [{name: loop}]}\n", True),
        ("scripts: {postConfigure: [{content: a, runOn: [all]}]}\n", True),
    ],
)
def test_when_an_initrd_is_made_anew(more: str, needed: bool) -> None:
    assert needs_new_initrd(config(more=more)) is needed
    assert bool(without_effect(config(more=more))) is (needed and "scripts" not in more)


def test_the_command_line_of_a_unified_kernel_stays() -> None:
    assert without_effect(config(more="os: {kernelCommandLine: {extraCommandLine: [quiet]}}\n")) == (
        "os.kernelCommandLine",
    )


def test_facts_of_this_machine(tmp_path: Path) -> None:
    source = subprocess.run(["findmnt", "-nvo", "SOURCE", "/"], capture_output=True, text=True, check=True).stdout
    if source.startswith("/dev/") and Path(source.strip()).is_block_device():
        assert root_device().lies_on(Path(source.strip()))
    assert not root_device().lies_on(tmp_path)
    assert not root_device().lies_on(tmp_path / "absent")
    assert os_release(Path("/"))["ID"]
    with pytest.raises(ServicingError, match="no partition of a disk"):
        boot_partition(tmp_path)


def test_a_full_place_for_the_datastore(tmp_path: Path) -> None:
    """What the machine is counts for more than copies of logs; without them the error says where room is needed."""
    found = isolated(
        """
from tests.full_disk import fill
from tests.unit.agent.statuses import config, status
from twinroot.agent.datastore import Datastore
from twinroot.agent.errors import ServicingError
from twinroot.agent.states import State
from twinroot.sandbox.mounts import Mounts
with Mounts() as mounts:
    place = mounts.tmpfs(Path(sys.argv[1]) / "lib", "mode=755,size=200k")
    path = place / "datastore.sqlite"
    with Datastore.create(path) as datastore:
        datastore.write(status(State.PROVISIONED, config("1")))
        for day in "123":
            (place / f"trident-AbUpdateStaged-2026010{day}T000000Z.log").write_bytes(b"x" * 30_000)
        fill(place)
        datastore.write(status(State.AB_UPDATE_STAGED, config("2"), config("1")))
        left = sorted(each.name for each in place.glob("*.log"))
        states = [str(each.servicing_state) for each in datastore.history()]
        for each in place.glob("*.log"):
            each.unlink()
        (place / "filler2").write_bytes(b"x" * (os.statvfs(place).f_bavail * 4096))
        try:
            datastore.write(status(State.PROVISIONED, config("1"), last_error="x" * 40_000))
        except ServicingError as error:
            said = [error.message, error.hint, datastore.status().servicing_state]
print(json.dumps([left, states, said]))
""",
        tmp_path,
    )
    left, states, (message, hint, state) = found
    assert left == [f"trident-AbUpdateStaged-2026010{day}T000000Z.log" for day in "23"]
    assert states == ["ab-update-staged", "provisioned"] and state == "ab-update-staged"
    assert message.endswith("datastore.sqlite: there is no room left for what is to be kept")
    assert hint == f"make room in {tmp_path}/lib, and run the command again"
