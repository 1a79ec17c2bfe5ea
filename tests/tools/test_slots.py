"""The boot side of a machine's life, on directories: installed, updated, committed, rolled back, cut off anywhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest
from tests.efi_programs import efi_program
from tests.isolated import isolated

from twinroot.agent.boot import fat_files
from twinroot.agent.boot.boot_entries import CURRENT, NEXT, read_boot_variables
from twinroot.agent.boot.efi_variables import Delete, EfiVariables, Set, Variable
from twinroot.agent.boot.esp_plan import FallbackMode
from twinroot.agent.boot.slots import (
    BootSide,
    ImageBoot,
    arm,
    arm_rollback,
    check,
    check_new_esp,
    commit,
    make_room,
    place,
    stand_down,
    stay,
    withdraw,
)
from twinroot.agent.boot.ukis import DEFAULT, ONE_SHOT, SELECTED, kernel_of
from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.errors import NoSpaceError
from twinroot.formats.efi_boot import HardDrive, read_text, write_numbers, write_text

ESP = [HardDrive(1, 2048, 131072, UUID(int=1))]
A: AbVolume = "volume-a"
B: AbVolume = "volume-b"
KERNEL_A, KERNEL_B = "vmlinuz-100-azla0.efi", "vmlinuz-101-azlb0.efi"
TRIAL_B = "vmlinuz-101-azlb0-trident-trial.conf"


@pytest.fixture
def side(tmp_path: Path) -> BootSide:
    for name in ("esp", "vars"):
        (tmp_path / name).mkdir()
    return BootSide(tmp_path / "esp", "x86_64", EfiVariables(tmp_path / "vars"))


def image(tmp_path: Path, version: str, *, uki: bool) -> ImageBoot:
    root = tmp_path / f"image-{version}-{uki}"
    (root / "EFI/BOOT").mkdir(parents=True, exist_ok=True)
    (root / "EFI/BOOT/bootx64.efi").write_text(version)
    if uki:
        (root / "EFI/Linux").mkdir(exist_ok=True)
        (root / "EFI/Linux/linux.efi").write_bytes(efi_program({".cmdline": version.encode()}))
    else:
        for name in ("grubx64-noprefix.efi", "grub.cfg"):
            (root / "EFI/BOOT" / name).write_text(version)
    return ImageBoot(root, uki)


def chosen(side: BootSide) -> tuple[int | None, str, str | None]:
    """What the machine starts next: the boot entry, the directory of its loader, what systemd-boot there chooses."""
    now = read_boot_variables(side.variables)
    for number in (now.next, *now.order):
        option = now.entries.get(number) if number is not None else None
        if option and option.loader and (side.esp / option.loader.lstrip("\\").replace("\\", "/")).exists():
            return number, option.description, systemd_boot(side, option.description)
    return None, "BOOT", systemd_boot(side, "BOOT")


def systemd_boot(side: BootSide, directory: str) -> str | None:
    if (side.esp / "EFI" / directory / "grub.cfg").exists():
        return None
    there = [path.name for path in (side.esp / "EFI/Linux").glob("*.efi")]
    for entry in (side.esp / "loader/entries").glob("*.conf"):
        if (side.esp / entry.read_text().split()[entry.read_text().split().index("efi") + 1].lstrip("/")).exists():
            there.append(entry.name)
    conf = side.esp / "loader/loader.conf"
    words = [conf.read_text().split()[1]] if conf.exists() else []
    variables = [read_text(value) for value in map(side.variables.read, (ONE_SHOT, DEFAULT)) if value]
    newest = max((name for name in there if name.endswith(".efi")), default="nothing")
    return next((name for name in (*variables, *words) if name in there), newest)


def reboot(side: BootSide) -> str:
    """The machine starts: the name of the boot entry that was used."""
    number, label, kernel = chosen(side)
    assert number is not None
    side.variables.carry_out([Set(CURRENT, write_numbers([number])), Delete(NEXT)])
    side.variables.carry_out([Set(SELECTED, write_text(kernel)), Delete(ONE_SHOT)] if kernel else [Delete(SELECTED)])
    return label


def running(side: BootSide) -> str:
    return read_text(side.variables.read(SELECTED) or b"")


def fallback(side: BootSide) -> str:
    return (side.esp / "EFI/BOOT/bootx64.efi").read_text()


def install(side: BootSide, tmp_path: Path, *, uki: bool) -> None:
    place(side, image(tmp_path, "1", uki=uki), A)
    arm(side, A, None, ESP, install=True)
    assert reboot(side) == "AZLA"
    commit(side, A, ESP, reorder=False)
    assert fallback(side) == "1"


def stage(side: BootSide, new: ImageBoot, target: AbVolume, active: AbVolume) -> None:
    check(side, new, target, active)
    withdraw(side, target, active)
    make_room(side, new)
    place(side, new, target)


BOTH_KINDS = pytest.mark.parametrize("uki", [False, True])


@pytest.mark.parametrize(("mode", "armed"), [("conservative", "1"), ("optimistic", "2")])
@BOTH_KINDS
def test_an_update_that_is_kept(side: BootSide, tmp_path: Path, mode: FallbackMode, armed: str, uki: bool) -> None:
    side = replace(side, fallback=mode)
    install(side, tmp_path, uki=uki)
    stage(side, image(tmp_path, "2", uki=uki), B, A)
    assert reboot(side) == "AZLA"
    arm(side, B, A, ESP, install=False)
    assert fallback(side) == armed
    assert reboot(side) == "AZLB"
    assert running(side) == (TRIAL_B if uki else "")
    commit(side, B, ESP, reorder=True)
    assert fallback(side) == "2"
    assert not list(side.esp.glob("loader/entries/*"))
    assert reboot(side) == "AZLB"
    assert running(side) == (KERNEL_B if uki else "")


@BOTH_KINDS
def test_an_update_that_is_not_committed_and_tried_again(side: BootSide, tmp_path: Path, uki: bool) -> None:
    side = replace(side, fallback="optimistic")
    install(side, tmp_path, uki=uki)
    stage(side, image(tmp_path, "2", uki=uki), B, A)
    arm(side, B, A, ESP, install=False)
    assert reboot(side) == "AZLB"
    assert reboot(side) == "AZLA"
    assert running(side) == (KERNEL_A if uki else "")
    arm(side, B, A, ESP, install=False)
    assert fallback(side) == "2"
    withdraw(side, B, A)  # another update takes the place of the one that is armed
    assert fallback(side) == "1"
    assert reboot(side) == "AZLA"


@pytest.mark.parametrize("mode", ["conservative", "optimistic", "disabled"])
@BOTH_KINDS
def test_a_machine_without_an_entry_of_its_own_goes_back(
    side: BootSide, tmp_path: Path, mode: FallbackMode, uki: bool
) -> None:
    """As after a start from an image, or where the firmware lost its variables."""
    install(side, tmp_path, uki=uki)
    side = replace(side, fallback=mode)
    side.variables.carry_out([Delete(Variable(name)) for name in side.variables.names() if name.startswith("Boot")])
    stage(side, image(tmp_path, "2", uki=uki), B, A)
    arm(side, B, A, ESP, install=False)
    assert reboot(side) == "AZLB"
    assert [reboot(side), running(side)] == ["AZLA", KERNEL_A if uki else ""]


@BOTH_KINDS
def test_an_arming_that_failed_is_taken_back(side: BootSide, tmp_path: Path, uki: bool) -> None:
    install(side, tmp_path, uki=uki)
    stage(side, image(tmp_path, "2", uki=uki), B, A)
    arm(side, B, A, ESP, install=False)
    stand_down(side, B)
    assert chosen(side)[1:] == ("AZLA", KERNEL_A if uki else None)
    arm(side, B, A, ESP, install=False)
    assert chosen(side)[1:] == ("AZLB", TRIAL_B if uki else None)


@BOTH_KINDS
def test_a_rollback(side: BootSide, tmp_path: Path, uki: bool) -> None:
    install(side, tmp_path, uki=uki)
    stage(side, image(tmp_path, "2", uki=uki), B, A)
    arm(side, B, A, ESP, install=False)
    reboot(side)
    commit(side, B, ESP, reorder=True)
    arm_rollback(side, A, B, ESP)
    assert fallback(side) == "1"
    assert reboot(side) == "AZLA"
    assert kernel_of(running(side)) == (KERNEL_A if uki else "")
    if uki:  # not committed, it does not start again
        assert chosen(side)[2] == KERNEL_B
    commit(side, A, ESP, reorder=False)
    assert [reboot(side), running(side)] == ["AZLA", KERNEL_A if uki else ""]
    arm_rollback(side, B, A, ESP)
    assert reboot(side) == "AZLB"
    assert kernel_of(running(side)) == (KERNEL_B if uki else "")


def test_a_rollback_to_the_kernel_that_a_machine_came_with(side: BootSide, tmp_path: Path) -> None:
    install(side, tmp_path, uki=True)
    (side.esp / "EFI/Linux" / KERNEL_A).rename(side.esp / "EFI/Linux/linux.efi")
    side.variables.carry_out([Set(SELECTED, write_text("linux.efi")), Delete(DEFAULT)])
    stage(side, image(tmp_path, "2", uki=True), B, A)
    assert read_text(side.variables.read(DEFAULT) or b"") == "linux.efi"
    arm(side, B, A, ESP, install=False)
    reboot(side)
    commit(side, B, ESP, reorder=True)
    arm_rollback(side, A, B, ESP)
    assert [reboot(side), running(side)] == ["AZLA", "linux-trident-trial.conf"]
    commit(side, A, ESP, reorder=False)
    assert chosen(side)[2] == "linux.efi"


def test_from_grub_to_a_kernel_and_back(side: BootSide, tmp_path: Path) -> None:
    install(side, tmp_path, uki=False)
    for uki in (True, False, True):
        stage(side, image(tmp_path, "2", uki=uki), B, A)
        arm(side, B, A, ESP, install=False)
        assert reboot(side) == "AZLB"
        assert bool(running(side)) is uki
        commit(side, B, ESP, reorder=True)
        assert [reboot(side), bool(running(side))] == ["AZLB", uki]
        arm_rollback(side, A, B, ESP)
        assert [reboot(side), running(side)] == ["AZLA", ""]
        commit(side, A, ESP, reorder=False)
    stage(side, image(tmp_path, "3", uki=True), B, A)
    assert not (side.esp / "EFI/Linux" / KERNEL_B).exists()


class PowerCut(BaseException):
    """Power fails."""


def cut_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Power fails before one more step than `count` reaches the disk or the firmware."""
    left = count

    def counted(name: str, owner: object) -> None:
        step: Callable[..., object] = getattr(owner, name)

        def take(*arguments: object) -> object:
            nonlocal left
            if left == 0:
                raise PowerCut
            left -= 1
            return step(*arguments)

        monkeypatch.setattr(owner, name, take)

    counted("sync", fat_files)
    counted("_write", EfiVariables)
    counted("_delete", EfiVariables)


@dataclass
class Updated:
    """An update of a machine whose power may fail; `old` and `new`: whether the systems start by unified kernels."""

    side: BootSide
    place: Path
    old: bool
    new: bool

    def stage(self) -> None:
        stage(self.side, image(self.place, "2", uki=self.new), B, A)

    def arm(self) -> None:
        arm(self.side, B, A, ESP, install=False)

    def commit(self) -> None:
        commit(self.side, B, ESP, reorder=True)

    @property
    def kernel(self) -> str | None:
        return (KERNEL_B if self.old else "vmlinuz-100-azlb0.efi") if self.new else None

    @property
    def old_kernel(self) -> str | None:
        return KERNEL_A if self.old else None

    def may_start(self, step: str) -> set[tuple[str, str | None]]:
        """The loaders and kernels that may start when power failed in a step. Any loader finds any kernel."""
        trial = self.kernel and self.kernel.replace(".efi", "-trident-trial.conf")
        found = {("AZLA", self.old_kernel)}
        if step != "stage":
            found |= {("AZLB", trial if step == "arm" else self.kernel)}
            found |= {("AZLA", trial), ("AZLA", self.kernel), ("AZLB", KERNEL_A)} if self.old and self.new else set()
        return found - ({("AZLA", self.kernel)} if step == "arm" else set())

    def start_and_end(self) -> None:
        """The machine starts after a cut, and whatever runs then, the update comes to its end."""
        loader, kernel = chosen(self.side)[1:]
        reboot(self.side)
        runs_new = kernel_of(kernel) == self.kernel if kernel else loader == "AZLB" and not self.new
        if not runs_new:
            self.stage()
            self.arm()
            reboot(self.side)
        self.commit()
        assert reboot(self.side) == "AZLB"
        assert running(self.side) == (self.kernel or "")


@pytest.mark.parametrize(("old", "new"), [(True, True), (False, True), (True, False)])
@pytest.mark.parametrize("step", ["stage", "arm", "commit"])
def test_power_fails_anywhere_in_an_update(side: BootSide, tmp_path: Path, old: bool, new: bool, step: str) -> None:
    """What starts is the old system, or once it is armed the new one, on trial until its commit began."""
    update = Updated(side, tmp_path, old, new)
    install(side, tmp_path, uki=old)
    if step != "stage":
        update.stage()
    if step == "commit":
        update.arm()
        reboot(side)
    for name in ("esp", "vars"):
        shutil.copytree(tmp_path / name, tmp_path / f"{name}.before")
    for count in range(1000):
        with pytest.MonkeyPatch.context() as monkeypatch:
            cut_after(monkeypatch, count)
            try:
                getattr(update, step)()
                break
            except PowerCut:
                pass
        assert chosen(side)[1:] in update.may_start(step), count
        if old:  # and where the variables are lost as well
            without = systemd_boot(replace(side, variables=EfiVariables(tmp_path)), "AZLA")
            assert without in {KERNEL_A, update.kernel if step == "commit" else KERNEL_A}, count
        update.start_and_end()
        for name in ("esp", "vars"):
            shutil.rmtree(tmp_path / name)
            shutil.copytree(tmp_path / f"{name}.before", tmp_path / name)
    assert count >= 3


def test_a_slot_whose_kernel_runs_is_not_written(side: BootSide, tmp_path: Path) -> None:
    install(side, tmp_path, uki=True)
    with pytest.raises(ServicingError, match="the kernel that runs"):
        check(side, image(tmp_path, "2", uki=True), A, B)
    with pytest.raises(ServicingError, match="the kernel that runs"):
        withdraw(side, A, B)
    assert chosen(side)[1:] == ("AZLA", KERNEL_A)


def test_a_commit_without_a_word_of_systemd_boot(side: BootSide, tmp_path: Path) -> None:
    install(side, tmp_path, uki=True)
    side.variables.carry_out([Delete(SELECTED)])
    with pytest.raises(ServicingError, match="not started by systemd-boot"):
        commit(side, A, ESP, reorder=False)


def test_an_esp_that_is_too_small_for_an_installation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    new = image(tmp_path, "1", uki=True)
    needed = new.needed("x86_64")
    check_new_esp(new, "x86_64", 2 * needed, two=True)
    check_new_esp(new, "x86_64", needed, two=False)
    assert not caplog.text
    check_new_esp(new, "x86_64", needed, two=True)
    assert "will have no room for an update" in caplog.text
    with pytest.raises(NoSpaceError, match="the boot files of the image need"):
        check_new_esp(new, "x86_64", needed - 1, two=True)


def test_a_fallback_that_is_nobody_s_business(side: BootSide, tmp_path: Path) -> None:
    side = replace(side, fallback="disabled")
    place(side, image(tmp_path, "1", uki=False), A)
    arm(side, A, None, ESP, install=True)
    assert not (side.esp / "EFI/BOOT").exists()


def test_a_rollback_that_does_not_start(side: BootSide, tmp_path: Path) -> None:
    """The firmware no longer begins with the half that failed."""
    install(side, tmp_path, uki=False)
    stage(side, image(tmp_path, "2", uki=False), B, A)
    arm(side, B, A, ESP, install=False)
    reboot(side)
    commit(side, B, ESP, reorder=True)
    arm_rollback(side, A, B, ESP)
    assert (chosen(side)[1], fallback(side)) == ("AZLA", "1")
    stay(side, B, ESP)
    assert (reboot(side), fallback(side)) == ("AZLB", "2")
    assert chosen(side)[1] == "AZLB"


def test_a_machine_that_was_installed_by_other_means(side: BootSide, tmp_path: Path) -> None:
    """It starts by the fallback alone, which stays as it is while the other half is written."""
    (side.esp / "EFI/BOOT").mkdir(parents=True)
    (side.esp / "EFI/BOOT/bootx64.efi").write_text("1")
    for _time in range(2):
        stage(side, image(tmp_path, "2", uki=False), B, A)
        assert fallback(side) == "1"


_FULL = """
from tests.full_disk import fill
from tests.tools.test_slots import A, B, ESP, BootSide, arm, chosen, commit, fallback, image, install, reboot, stage
from dataclasses import replace
from twinroot.agent.boot.efi_variables import EfiVariables
from twinroot.agent.boot.trial import on_trial
from twinroot.errors import HostError
from twinroot.sandbox.mounts import Mounts
import subprocess
place = Path(sys.argv[1])
(place / "vars").mkdir()

with Mounts() as mounts:
    esp = mounts.tmpfs(place / "esp", "mode=755,size=300k")
    side = BootSide(esp, "x86_64", EfiVariables(place / "vars"), fallback="optimistic")
    install(side, place, uki=False)
    stage(side, image(place, "2", uki=False), B, A)
    stub = esp / "EFI/AZLB/grub.cfg"
    stub.write_text(on_trial("configfile /boot/grub.cfg\\n"))
    fill(esp)
    arm(side, B, A, ESP, install=False)
    said = [fallback(side), reboot(side)]
    if sys.argv[2] == "full":
        commit(side, B, ESP, reorder=True)
        said += [chosen(side)[1], stub.read_text().strip(), fallback(side)]
    else:
        subprocess.run(["mount", "-o", "remount,ro", esp], check=True)
        try:
            commit(side, B, ESP, reorder=True)
        except HostError as error:
            said += [chosen(side)[1], error.message]
print(json.dumps(said))
"""


def test_a_full_esp_keeps_no_system_on_trial(tmp_path: Path) -> None:
    """Nor does it keep an update from being armed: what the firmware falls back to is whole, though not the newest."""
    found = isolated(_FULL, tmp_path, "full")
    assert found == ["1", "AZLB", "AZLB", "configfile /boot/grub.cfg", "1"]


def test_an_esp_that_cannot_be_written_at_the_commit(tmp_path: Path) -> None:
    """The machine starts its old system next, rather than the new one on trial again and again."""
    assert isolated(_FULL, tmp_path, "read-only") == ["1", "AZLB", "AZLA", "Read-only file system"]
