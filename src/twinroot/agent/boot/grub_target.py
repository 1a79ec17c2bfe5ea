"""Writing grub's configuration of a newly written root, and of its slot on the ESP; `grub_plan` says what it holds."""

from __future__ import annotations

from pathlib import Path

from twinroot.agent.boot import fat_files, trial
from twinroot.agent.boot.grub_plan import (
    NETPLAN_SNIPPET,
    GrubTexts,
    KernelTarget,
    configured,
    netplan_snippet,
    with_boot_file_system,
)
from twinroot.agent.errors import ServicingError
from twinroot.boot.entry_file import ENTRIES
from twinroot.errors import NoSpaceError
from twinroot.sandbox.paths import make_directory, place_file, read_text, resolve_inside

_CONFIGS = ("/boot/grub2/grub.cfg", "/boot/grub/grub.cfg")
_DEFAULT = "/etc/default/grub"


def configure_grub(root: Path, target: KernelTarget) -> None:
    """Tell the kernels of a root where it lies and what else they need; ServicingError before anything is written."""
    path = next((path for path in _CONFIGS if resolve_inside(root, path).is_file()), None)
    if path is None:
        message = f"the image has no grub.cfg ({' or '.join(_CONFIGS)})"
        raise ServicingError("update-grub-configs", message)
    before = GrubTexts(read_text(root, path) or "", _plain_text(root, _DEFAULT), _entries(root))
    after = configured(before, target)
    place_file(root, path, after.config, follow=True)
    for entry, text in after.entries.items():
        if text != before.entries[entry]:
            place_file(root, entry, text, follow=True)
    make_directory(root, _DEFAULT.rpartition("/")[0])
    place_file(root, _DEFAULT, after.default, follow=True)
    if target.netplan:
        make_directory(root, NETPLAN_SNIPPET.rpartition("/")[0])
        place_file(root, NETPLAN_SNIPPET, netplan_snippet())


def settle_stub(esp: Path, label: str, boot_uuid: str, *, on_trial: bool) -> None:
    """Have grub of a slot look for the file system that holds /boot of that slot; its first start may be a trial."""
    before = _stub(esp, label)
    if before is None:
        raise ServicingError("update-grub-configs", f"the ESP has no EFI/{label}/grub.cfg")
    after = with_boot_file_system(before, boot_uuid)
    _replace_stub(esp, label, before, trial.on_trial(after) if on_trial else after)


def end_trial(esp: Path, label: str) -> None:
    """The system of a slot has proved well; nothing happens where its start was no trial."""
    before = _stub(esp, label)
    if before is None:
        return
    after = trial.off_trial(before)
    try:
        _replace_stub(esp, label, before, after)
    except NoSpaceError:
        # It is shorter than what is there, and within one sector as a rule.
        path = fat_files.locate(esp, f"EFI/{label}/grub.cfg")
        fat_files.write_over(esp, path, after.encode("utf-8", "surrogateescape"))


def _stub(esp: Path, label: str) -> str | None:
    return read_text(esp, fat_files.locate(esp, f"EFI/{label}/grub.cfg"))


def _replace_stub(esp: Path, label: str, before: str, after: str) -> None:
    if after == before:
        return
    directory, _, name = fat_files.locate(esp, f"EFI/{label}/grub.cfg").rpartition("/")
    place = resolve_inside(esp, directory)
    fat_files.write_beside(place, name, after.encode("utf-8", "surrogateescape"))
    fat_files.rename_new(place, name)


def _entries(root: Path) -> dict[str, str]:
    directory = resolve_inside(root, ENTRIES)
    names = sorted(path.name for path in directory.glob("*.conf")) if directory.is_dir() else []
    return {f"{ENTRIES}/{name}": _plain_text(root, f"{ENTRIES}/{name}") for name in names}


def _plain_text(root: Path, path: str) -> str:
    """The text of a plain file; empty where there is something else, which gives way when it is written."""
    return (read_text(root, path) if resolve_inside(root, path).is_file() else None) or ""
