"""`os.packages`: lists, the snapshot time, removing the package manager."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, os_of, unmarked

from twinroot.config.image.packages import Packages

FEATURES = "previewFeatures: [package-snapshot-time, remove-package-manager]\n"

RIGHT: list[tuple[str, Packages]] = [
    ("", Packages()),
    ("{install: , remove: , update: [], updateExistingPackages: , installLists: []}", Packages()),
    ("{updateExistingPackages: yes}", Packages(update_existing_packages=True)),
    ("{updateExistingPackages: False}", Packages(update_existing_packages=False)),
    (
        "{install: [b, a, b, 3.0, 'kernel >= 6', c=1:2-3], remove: [d], update: [e]}",
        Packages(install=("b", "a", "b", "3.0", "kernel >= 6", "c=1:2-3"), remove=("d",), update=("e",)),
    ),
    ("{removePackageManager: }", Packages()),
    ("{removePackageManager: true}", Packages(remove_package_manager=True)),
    ("{removePackageManager: off}", Packages(remove_package_manager=False)),
]

TIMES: list[tuple[str, datetime | None]] = [
    ("", None),
    ("''", None),
    ("2024-05-20", datetime(2024, 5, 20, tzinfo=UTC)),
    ("'2024-02-29'", datetime(2024, 2, 29, tzinfo=UTC)),
    ("2024-05-20T12:34:56Z", datetime(2024, 5, 20, 12, 34, 56, tzinfo=UTC)),
    ("2024-05-20T12:34:56+00:00", datetime(2024, 5, 20, 12, 34, 56, tzinfo=UTC)),
    ("2024-05-20T12:34:56-05:30",
        datetime(2024, 5, 20, 12, 34, 56, tzinfo=timezone(-timedelta(hours=5, minutes=30)))),
    ("2024-05-20T12:34:56.5Z", datetime(2024, 5, 20, 12, 34, 56, 500_000, tzinfo=UTC)),
    ("2024-05-20T12:34:56.123456789Z", datetime(2024, 5, 20, 12, 34, 56, 123_456, tzinfo=UTC)),
]  # fmt: skip

NO_TIMES = [
    "20-05-2024",
    "2024-05-20 23:59:59",
    "2024-05-20T12:34:56",
    "2024-05-20T12:34Z",
    "2024-5-20",
    "2024-05-20Z",
    "2023-02-29",
    "2024-13-01",
    "0000-01-01",
    "2024-05-20T24:00:00Z",
    "2024-05-20T12:60:00Z",
    "2024-05-20T12:34:56+25:00",
    "2024-05-20T12:34:56+02:99",
    "2024-05-20T12:34:56+0200",
    "20240520",
    "1716163200",
    "yesterday",
    " 2024-05-20",
]

K = "os.packages"
WRONG: list[Wrong] = [
    ("os: {packages: «[vim]}", K, "expected a mapping"),
    ("os: {packages: {install: «vim}}", K + ".install", "expected a list"),
    ("os: {packages: {install: [vim, «'']}}", K + ".install[1]", "the value may not be empty"),
    ("os: {packages: {install: [vim, «~]}}", K + ".install[1]", "expected a single value, found nothing"),
    ("os: {packages: {remove: [«--all]}}", K + ".remove[0]", "the package name '--all' may not begin with '-'"),
    ("os: {packages: {update: [«{name: vim}]}}", K + ".update[0]", "expected a single value, found a mapping"),
    ("os: {packages: {installLists: «a.yaml}}", K + ".installLists", "expected a list"),
    ("os: {packages: {removeLists: [«'']}}", K + ".removeLists[0]", "the value may not be empty"),
    ("os: {packages: {updateLists: [«a.yaml]}}", K + ".updateLists[0]", "package list "),
    ("os: {packages: {updateExistingPackages: «2}}", K + ".updateExistingPackages", "'2' is neither true nor false"),
    ("os: {packages: {updateExistingPackages: «[]}}", K + ".updateExistingPackages",
        "expected a single value, found a list"),
    ("os: {packages: {removePackageManager: «''}}", K + ".removePackageManager", "'' is neither true nor false"),
    ("os: {packages: {removePackageManager: «all}}", K + ".removePackageManager", "'all' is neither true nor false"),
    ("os: {packages: {snapshotTime: «[]}}", K + ".snapshotTime", "expected a single value, found a list"),
    ("os: {packages: {«snapshot: 2024-05-20}}", K + ".snapshot", "unknown key 'snapshot'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "packages"), RIGHT)
def test_packages(config_of: ConfigOf, text: str, packages: Packages) -> None:
    assert os_of(config_of(f"{FEATURES}os: {{hostname: a, packages: {text}}}")).packages == packages


@pytest.mark.parametrize(("text", "time"), TIMES)
def test_snapshot_times(config_of: ConfigOf, text: str, time: datetime | None) -> None:
    found = os_of(config_of(f"{FEATURES}os: {{packages: {{snapshotTime: {text}}}}}")).packages.snapshot_time
    assert (found, found and found.utcoffset()) == (time, time and time.utcoffset())


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time(problems_of: ProblemsOf, text: str) -> None:
    text = f"os: {{packages: {{snapshotTime: «{text!r}}}}}"
    found = problems_of(unmarked(text))
    assert_one_problem(found, text, K + ".snapshotTime", "'")
    assert "is not a point in time" in found[0].message
    assert found[0].hint == "write YYYY-MM-DD, or YYYY-MM-DDThh:mm:ssZ"


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    assert_one_problem(problems_of(unmarked(text)), text, key, message)


@pytest.mark.parametrize("name", ["iso", "pxe-dir", "pxe-tar", "cosi", "baremetal-image"])
def test_formats_that_need_the_package_manager(problems_of: ProblemsOf, name: str) -> None:
    text = f"{FEATURES}output: {{image: {{format: {name}}}}}\nos: {{packages: {{removePackageManager: «true}}}}"
    message = f"this is not possible with the output format {name}"
    assert_one_problem(problems_of(unmarked(text)), text, K + ".removePackageManager", message)
    assert problems_of(unmarked(text).replace("true", "false")) == []


@pytest.mark.parametrize("name", ["", "vhd", "vhd-fixed", "vhdx", "qcow2", "raw"])
def test_formats_that_do_not(problems_of: ProblemsOf, name: str) -> None:
    text = f"{FEATURES}output: {{image: {{format: '{name}'}}}}\nos: {{packages: {{removePackageManager: true}}}}"
    assert problems_of(text) == []
