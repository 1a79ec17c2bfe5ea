"""`os.uki`, and what its modes exclude."""

from __future__ import annotations

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, os_of, places, unmarked

from twinroot.config.image.uki import Uki

FEATURES = "previewFeatures: [uki, reinitialize-verity]\n"

RIGHT: list[tuple[str, Uki | None]] = [
    ("", None),
    ("{}", Uki()),
    ("{mode: }", Uki()),
    ("{mode: ''}", Uki()),
    ("{mode: create}", Uki(mode="create")),
    ("{mode: passthrough}", Uki(mode="passthrough")),
    ("{mode: modify}", Uki(mode="modify")),
]

WRONG: list[Wrong] = [
    ("os: {uki: «create}", "os.uki", "expected a mapping"),
    ("os: {uki: {mode: «Create}}", "os.uki.mode", "'Create' is not allowed here: use create, passthrough or modify"),
    ("os: {uki: {mode: «[create]}}", "os.uki.mode", "expected a single value, found a list"),
    ("os: {uki: {«kernels: auto}}", "os.uki.kernels", "unknown key 'kernels'"),
]

NEW_BOOT_LOADER = ("os: {bootloader: {resetType: «hard-reset}, UKI}", "os.bootloader.resetType")
VERITY = (
    "os: {UKI}\nstorage: {verity: «[{id: v, name: root, dataDevice: {idType: part-label, id: a},"
    " hashDevice: {idType: part-label, id: b}}]}",
    "storage.verity",
)
OVERLAYS = ("os: {overlays: «[{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w}], UKI}", "os.overlays")
SELINUX = [
    (f"os: {{selinux: {{mode: «{mode}}}, UKI}}", "os.selinux.mode")
    for mode in ("disabled", "permissive", "enforcing", "force-enforcing")
]
COMMAND_LINE = (
    "os: {kernelCommandLine: {extraCommandLine: «[rd.info]}, UKI}",
    "os.kernelCommandLine.extraCommandLine",
)
NEW_HASHES = ("os: {UKI}\nstorage: {reinitializeVerity: «all}", "storage.reinitializeVerity")

EXCLUDED = {
    "passthrough": [NEW_BOOT_LOADER, VERITY, OVERLAYS, *SELINUX, COMMAND_LINE, NEW_HASHES],
    "modify": [NEW_BOOT_LOADER, VERITY, OVERLAYS],
}
ALL = [NEW_BOOT_LOADER, VERITY, OVERLAYS, *SELINUX, COMMAND_LINE, NEW_HASHES]
NOTHING = (
    "os: {bootloader: {resetType: ''}, selinux: {mode: ''}, kernelCommandLine: {extraCommandLine: []}, overlays: [],"
    " hostname: a, UKI}\nstorage: {verity: [], reinitializeVerity: none}",
    "",
)
CASES = [(mode, *case) for mode, cases in EXCLUDED.items() for case in cases]
ALLOWED = [
    (mode, text)
    for mode in ("create", "''", "passthrough", "modify")
    for text, _ in (NOTHING, *(case for case in ALL if case not in EXCLUDED.get(mode, [])))
]


def with_mode(text: str, mode: str) -> str:
    return FEATURES + text.replace("UKI", f"uki: {{mode: {mode}}}")


@pytest.mark.parametrize(("text", "uki"), RIGHT)
def test_uki(config_of: ConfigOf, text: str, uki: Uki | None) -> None:
    assert os_of(config_of(f"{FEATURES}os: {{hostname: a, uki: {text}}}")).uki == uki


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    text = FEATURES + text
    assert_one_problem(problems_of(unmarked(text)), text, key, message)


@pytest.mark.parametrize(("mode", "text", "key"), CASES)
def test_what_a_mode_excludes(problems_of: ProblemsOf, mode: str, text: str, key: str) -> None:
    text = with_mode(text, mode)
    assert_one_problem(problems_of(unmarked(text)), text, key, f"this is not possible with uki mode {mode}")


@pytest.mark.parametrize(("mode", "text"), ALLOWED)
def test_what_a_mode_allows(problems_of: ProblemsOf, mode: str, text: str) -> None:
    assert problems_of(unmarked(with_mode(text, mode))) == []


def test_everything_that_is_excluded_is_reported_together(problems_of: ProblemsOf) -> None:
    text = with_mode(
        """\
os:
  UKI
  bootloader: {resetType: «hard-reset}
  selinux: {mode: «disabled}
  kernelCommandLine: {extraCommandLine: «[rd.info]}
  overlays: «[{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w}]
storage: {reinitializeVerity: «all}
""",
        "passthrough",
    )
    found = problems_of(unmarked(text))
    assert [(problem.line, problem.column) for problem in found] == places(text)
    assert {problem.message for problem in found} == {"this is not possible with uki mode passthrough"}
