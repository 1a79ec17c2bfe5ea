"""What the image's own programs leave in the tree that depends on clock or chance, settled for SOURCE_DATE_EPOCH.

Three rules, all of them about what this build changed; files of the base that it did not touch stay as they are.

    contents   what exists for one machine or one run only goes: logs, machine id, random seeds, ldconfig's own notes
    times      nothing is newer than the epoch; what keeps the time that it has in the base keeps it
    bytecode   Python compares the time of a module with one written in its bytecode: that follows

Most programs need none of this: they read SOURCE_DATE_EPOCH themselves (rpm, dpkg, dracut, passwd's tools).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from glob import escape
from pathlib import Path

from twinroot.base.tree import Layer, Tree
from twinroot.distro.history import HISTORIES, settle_history
from twinroot.sandbox.paths import resolve_inside

# Made anew where they are missing: ldconfig(8) notes when it saw which file; the seeds are of this build only.
_REMOVED = ("/var/cache/ldconfig/aux-cache", "/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret")
# machine-id(5): an empty file makes systemd give the machine an id when it boots for the first time.
_EMPTIED = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_LOGS = "/var/log"
_SECOND = 10**9


def settle_contents(tree: Tree, epoch: int) -> None:
    """Settle the contents of the whole tree; the image's programs have all been run."""
    for path in _REMOVED:
        if file := _changed_file(tree, path):
            file.unlink()
    for path in _EMPTIED:
        if file := _changed_file(tree, path):
            file.write_bytes(b"")
    for path in HISTORIES:
        if file := _changed_file(tree, path):
            settle_history(file, epoch, tree.scratch)
    logs = resolve_inside(tree.root, _LOGS)
    for directory, _, names in os.walk(logs):
        for name in names:
            file = Path(directory, name)
            if tree.is_changed(file) and stat.S_ISREG(file.lstat().st_mode):
                file.write_bytes(b"")


def _changed_file(tree: Tree, path: str) -> Path | None:
    """Where a file of the image is, when it is a plain file that this build wrote."""
    file = resolve_inside(tree.root, path)
    plain = os.path.lexists(file) and stat.S_ISREG(file.lstat().st_mode)
    return file if plain and tree.is_changed(file) else None


def settle_times(view: Path, layer: Layer, epoch: int) -> None:
    """Settle the times of what this build changed in one filesystem, seen through `view` without mounts below."""
    times = {}
    for relative in _deepest_first(layer.changes):
        path = view / relative
        try:
            before = path.lstat().st_mtime_ns
        except FileNotFoundError:
            continue  # a mark of the overlay that something of the base is gone
        times[path] = settled_time(before, _base_time(layer, relative), epoch)
        if times[path] != before and path.suffix == ".py":
            for bytecode in sorted(path.parent.glob(f"__pycache__/{escape(path.stem)}.*.pyc")):
                _correct_bytecode(bytecode, before // _SECOND, times[path] // _SECOND)
    # Last of all, since looking into directories sets times too.
    for path, time in times.items():
        _set_times(path, time)


def settled_time(time: int, base: int | None, epoch: int) -> int:
    """The time in ns that a changed file gets: its own where it is that of the base or no newer than the epoch (s)."""
    return time if time == base else min(time, epoch * _SECOND)


def _base_time(layer: Layer, relative: Path) -> int | None:
    if layer.base is None:
        return None
    try:
        return (layer.base / relative).lstat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None


def _deepest_first(root: Path) -> Iterator[Path]:
    """Every entry relative to `root`, directories behind what is in them, the root last."""
    for directory, names, files in os.walk(root, topdown=False):
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]  # noqa: PTH114, PTH118
        for name in (*files, *links):
            yield Path(directory, name).relative_to(root)
        yield Path(directory).relative_to(root)


def _set_times(path: Path, time: int) -> None:
    # The access time as well: when somebody read it during the build says nothing.
    os.utime(path, ns=(time, time), follow_symlinks=False)


def _correct_bytecode(path: Path, before: int, after: int) -> None:
    """Replace the module's time in its bytecode (PEP 552: four bytes of magic, of flags, of time); hashes need none."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return
    with path.open("r+b") as file:
        head = file.read(12)
        if head[4:8] == bytes(4) and head[8:12] == (before & 0xFFFFFFFF).to_bytes(4, "little"):
            file.seek(8)
            file.write((after & 0xFFFFFFFF).to_bytes(4, "little"))
    _set_times(path, status.st_mtime_ns)
