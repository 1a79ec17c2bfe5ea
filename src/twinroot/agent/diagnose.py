"""A bundle with what tells of a fault of this machine: logs, datastores, and a report (servicing spec, section 18.1).

A tar archive, compressed with zstd, whose members lie below `trident-diagnostics/`. What cannot be collected is named
in the report and stops nothing: a machine that is asked for diagnostics is seldom whole.
"""

from __future__ import annotations

import io
import json
import os
import platform
import stat
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import zstandard

from twinroot.agent.agent_config import DEFAULT_PATH, read_datastore_path
from twinroot.agent.boot.boot_entries import plain_variables, read_boot_variables
from twinroot.agent.boot.efi_variables import EFIVARS, EfiVariables
from twinroot.agent.datastore import Datastore
from twinroot.agent.host_status import plain_status
from twinroot.agent.servicing.container import VARIABLE
from twinroot.config.host.places import DEFAULT_DATASTORE
from twinroot.errors import TwinrootError
from twinroot.tools import inventory, journal

FOLDER = "trident-diagnostics"
MULTIBOOT_DATASTORE = Path("/tmp/trident-datastore.sqlite")
_UNIT = "trident.service"
_UNIT_LINES = 5000
_HISTORICAL = ("trident-*.log", "trident-metrics-*.jsonl")
_FAILED_CHECKS = "trident-health-check-failure-*.log"
_PLATFORM = ("sys_vendor", "product_name", "product_version", "board_name", "bios_version", "bios_date")


@dataclass(frozen=True)
class Wanted:
    """A file to collect: its name in the bundle, and where it is on the machine."""

    name: str
    path: Path


@dataclass
class Contents:
    """What came into a bundle, and what did not, with the reason."""

    files: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)


def wanted_files(datastore: Path, historical: tuple[Path, ...], *, selinux: bool) -> tuple[Wanted, ...]:
    """The files of a bundle. `datastore` is the one that the agent is configured to use; `historical` are the logs that
    were kept beside it. Pure.
    """
    files = [
        Wanted("logs/trident-full.log", Path("/var/log/trident-full.log")),
        Wanted("logs/trident-metrics.jsonl", Path("/var/log/trident-metrics.jsonl")),
        *(Wanted(f"logs/historical/{path.name}", path) for path in historical),
        Wanted("datastore.sqlite", Path(DEFAULT_DATASTORE)),
        Wanted("datastore-tmp.sqlite", MULTIBOOT_DATASTORE),
    ]
    if datastore != Path(DEFAULT_DATASTORE):
        files.append(Wanted("datastore-configured.sqlite", datastore))
    files += [
        Wanted("files/fstab", Path("/etc/fstab")),
        # The peer gives the agent's configuration this name.
        Wanted("files/config.yaml", DEFAULT_PATH),
        Wanted("tpm/pcrlock.json", Path("/var/lib/systemd/pcrlock.json")),
    ]
    return (*files, Wanted("selinux/audit.log", Path("/var/log/audit/audit.log"))) if selinux else tuple(files)


def write_bundle(
    target: Path, *, version: str, full_journal: bool = False, selinux: bool = False, root: Path = Path("/")
) -> Contents:
    """Write the bundle to a file that only its owner may read. `root` is where the machine's files are.

    Raises OSError when the file cannot be written; whatever cannot be collected is in the result instead.
    """
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with (
        os.fdopen(fd, "wb") as file,
        zstandard.ZstdCompressor().stream_writer(file, closefd=False) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        bundle = _Bundle(archive, root)
        datastore = bundle.attempt("datastore path", lambda: read_datastore_path(root / DEFAULT_PATH.relative_to("/")))
        datastore = datastore or Path(DEFAULT_DATASTORE)
        for wanted in wanted_files(datastore, bundle.beside(datastore, *_HISTORICAL), selinux=selinux):
            bundle.add_file(wanted)
        if full_journal:
            bundle.add_made("full-journal", journal.write_all)
        report = {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": version,
            "hostDescription": _host(bundle, datastore),
            "hostStatus": bundle.attempt("hostStatus", lambda: _status(bundle.place(datastore))),
            "collectedFiles": bundle.contents.files,
            "collectionFailures": bundle.contents.failures,
        }
        text = json.dumps(report, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace")
        bundle.add("report.json", io.BytesIO(text), len(text))
    return bundle.contents


class _Bundle:
    """An archive that is being written."""

    def __init__(self, archive: tarfile.TarFile, root: Path) -> None:
        self.contents = Contents()
        self._archive = archive
        self._root = root

    def place(self, path: Path) -> Path:
        """Where a file of the machine is for us."""
        return self._root / path.relative_to("/")

    def beside(self, path: Path, *patterns: str) -> tuple[Path, ...]:
        """The files in the directory of one that match patterns, by name; as the machine names them."""
        found = {each.name for pattern in patterns for each in self.place(path).parent.glob(pattern)}
        return tuple(path.parent / name for name in sorted(found))

    def attempt(self, name: str, work: Callable[[], Any]) -> Any:
        """What the work gives; None, and a note, when it fails."""
        try:
            return work()
        except TwinrootError as error:
            self._failed(name, error.message)
        except (OSError, ValueError) as error:
            self._failed(name, str(error))
        return None

    def add_file(self, wanted: Wanted) -> None:
        """Take a plain file as long as it is now: logs go on growing while they are read."""
        file = self.attempt(wanted.name, lambda: _opened(self.place(wanted.path)))
        if file is None:
            return
        with file:
            info = os.fstat(file.fileno())
            data = _AsLong(file, info.st_size)
            self.add(wanted.name, data, info.st_size, info.st_mtime)
        if data.failure:
            self._failed(wanted.name, data.failure)
        self._collected(wanted.name, info.st_size, str(wanted.path))

    def add_made(self, name: str, make: Callable[[IO[bytes]], None]) -> None:
        """Take what a function writes into a file; when it fails, what it wrote until then."""
        with tempfile.TemporaryFile() as file:
            self.attempt(name, lambda: make(file))
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            if size:
                self.add(name, file, size)
                self._collected(name, size, None)

    def add(self, name: str, data: Any, size: int, changed: float = 0) -> None:
        """Write a member."""
        info = tarfile.TarInfo(f"{FOLDER}/{name}")
        info.size, info.mtime, info.mode = size, changed, 0o600
        self._archive.addfile(info, data)

    def _collected(self, name: str, size: int, source: str | None) -> None:
        self.contents.files.append({"path": name, "source": source, "size": size})

    def _failed(self, name: str, reason: str) -> None:
        self.contents.failures.append({"item": name, "error": reason})


@dataclass
class _AsLong:
    """A file as long as it was. One that becomes shorter, or fails, would leave the archive damaged: zeros follow."""

    file: IO[bytes]
    left: int
    failure: str | None = None

    def read(self, size: int) -> bytes:
        """Exactly so many bytes, fewer only at the end."""
        wanted = min(size, self.left)
        self.left -= wanted
        try:
            data = self.file.read(wanted)
        except OSError as error:
            data, self.failure = b"", f"cannot be read to its end: {error.strerror}"
        return data.ljust(wanted, b"\0")


def _opened(path: Path) -> IO[bytes]:
    """A plain file. A pipe in its place would wait for ever, a device never end."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ValueError(f"{path} is no plain file")
    return os.fdopen(fd, "rb")


def _host(bundle: _Bundle, datastore: Path) -> dict[str, Any]:
    """What the machine is, and how its agent fares."""
    kind = bundle.attempt("virtType", inventory.virtualisation)
    status = bundle.attempt("tridentService.status", lambda: inventory.unit_status(_UNIT))
    lines = bundle.attempt("tridentService.journal", lambda: journal.of_unit(_UNIT, _UNIT_LINES))
    return {
        "isContainer": os.environ.get(VARIABLE) == "true",
        "isVirtual": None if kind is None else kind != "none",
        "virtType": kind,
        "platformInfo": _platform(bundle),
        "blockdevInfo": bundle.attempt("blockdevInfo", inventory.block_devices),
        "mountInfo": bundle.attempt("mountInfo", inventory.mounts),
        "healthCheckStatus": bundle.attempt("healthCheckStatus", lambda: _failed_checks(bundle, datastore)),
        "pcrlockLog": bundle.attempt("pcrlockLog", inventory.boot_measurements),
        "bootEntries": bundle.attempt("bootEntries", lambda: _boot_entries(bundle)),
        "tridentService": {"status": status, "journal": lines},
    }


def _boot_entries(bundle: _Bundle) -> dict[str, Any]:
    """What the firmware would start."""
    return plain_variables(read_boot_variables(EfiVariables(bundle.place(EFIVARS))))


def _failed_checks(bundle: _Bundle, datastore: Path) -> str | None:
    """The log of the last health checks that failed; None when none ever did."""
    logs = bundle.beside(datastore, _FAILED_CHECKS)
    return bundle.place(logs[-1]).read_text(errors="replace") if logs else None


def _platform(bundle: _Bundle) -> dict[str, str]:
    found = {"architecture": platform.machine(), "kernel": platform.release()}
    for name in _PLATFORM:
        with suppress(OSError):
            found[name] = bundle.place(Path("/sys/class/dmi/id") / name).read_text(errors="replace").strip()
    return found


def _status(path: Path) -> dict[str, Any] | None:
    with closing(Datastore.open(path)) as datastore:
        status = datastore.status()
    return plain_status(status) if status else None
