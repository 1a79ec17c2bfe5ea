"""What is small in `os`: host name, boot loader, image history, kernel command line, services, SELinux."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, os_of, unmarked

from twinroot.config.image.os import Os

RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("hostname: ''", {}),
    ("hostname: ", {}),
    ("hostname: a", {"hostname": "a"}),
    ("hostname: 007", {"hostname": "007"}),
    ("hostname: a-1.example.com.", {"hostname": "a-1.example.com."}),
    ("imageHistory: ", {}),
    ("imageHistory: ''", {}),
    ("imageHistory: none", {"image_history": "none"}),
    ("bootloader: {}", {}),
    ("bootloader: {resetType: ''}", {}),
    ("bootloader: {resetType: hard-reset}", {"bootloader": {"reset_type": "hard-reset"}}),
    ("selinux: ", {}),
    ("selinux: {mode: ''}", {}),
    *[(f"selinux: {{mode: {mode}}}", {"selinux": {"mode": mode}})
        for mode in ("disabled", "permissive", "enforcing", "force-enforcing")],
    ("kernelCommandLine: {extraCommandLine: }", {}),
    ("kernelCommandLine: {extraCommandLine: [b, a, b, 1, yes, 'c d', 'e=\"f g\"']}",
        {"kernel_command_line": {"extra_command_line": ("b", "a", "b", "1", "yes", "c d", 'e="f g"')}}),
    ("services: {enable: [], disable: }", {}),
    ("services: {enable: [sshd, a@b.service], disable: [sshd]}",
        {"services": {"enable": ("sshd", "a@b.service"), "disable": ("sshd",)}}),
]  # fmt: skip

WRONG: list[Wrong] = [
    ("os: «[]", "os", "expected a mapping"),
    ("os: {hostname: «a_b}", "os.hostname", "'a_b' is not a host name"),
    ("os: {hostname: «-a}", "os.hostname", "'-a' is not a host name"),
    ("os: {hostname: «a..b}", "os.hostname", "'a..b' is not a host name"),
    ("os: {hostname: «a b}", "os.hostname", "'a b' is not a host name"),
    ("os: {imageHistory: «None}", "os.imageHistory", "'None' is not allowed here: use none"),
    ("os: {imageHistory: «all}", "os.imageHistory", "'all' is not allowed here: use none"),
    ("os: {imageHistory: «[none]}", "os.imageHistory", "expected a single value, found a list"),
    ("os: {bootloader: «hard-reset}", "os.bootloader", "expected a mapping"),
    ("os: {bootloader: {resetType: «hard}}", "os.bootloader.resetType", "'hard' is not allowed here: use hard-reset"),
    ("os: {«bootLoader: {}}", "os.bootLoader", "unknown key 'bootLoader'"),
    ("os: {selinux: «enforcing}", "os.selinux", "expected a mapping"),
    ("os: {selinux: {mode: «Enforcing}}", "os.selinux.mode",
        "'Enforcing' is not allowed here: use disabled, enforcing, permissive or force-enforcing"),
    ("os: {kernelCommandLine: «quiet}", "os.kernelCommandLine", "expected a mapping"),
    ("os: {kernelCommandLine: {extraCommandLine: «quiet}}", "os.kernelCommandLine.extraCommandLine",
        "expected a list"),
    ("os: {kernelCommandLine: {extraCommandLine: [a, «'']}}", "os.kernelCommandLine.extraCommandLine[1]",
        "the value may not be empty"),
    ("os: {kernelCommandLine: {extraCommandLine: [«\"a\\nb\"]}}", "os.kernelCommandLine.extraCommandLine[0]",
        "a kernel argument may not contain a line break"),
    ("os: {kernelCommandLine: {extraCommandLine: [«a=$b]}}", "os.kernelCommandLine.extraCommandLine[0]",
        "a kernel argument may not contain '$', '\\' or single quotes, which boot loaders read as their own"),
    ("os: {kernelCommandLine: {extraCommandLine: [«'a\\b']}}", "os.kernelCommandLine.extraCommandLine[0]",
        "a kernel argument may not contain '$', '\\' or single quotes, which boot loaders read as their own"),
    ("os: {services: «[sshd]}", "os.services", "expected a mapping"),
    ("os: {services: {enable: «sshd}}", "os.services.enable", "expected a list"),
    ("os: {services: {enable: [a, «'']}}", "os.services.enable[1]", "the value may not be empty"),
    ("os: {services: {disable: [«' ']}}", "os.services.disable[0]", "the value may not be empty"),
    ("os: {services: {disable: [«~]}}", "os.services.disable[0]", "expected a single value, found nothing"),
    ("os: {services: {«enabled: [a]}}", "os.services.enabled", "unknown key 'enabled'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "values"), RIGHT)
def test_os(config_of: ConfigOf, text: str, values: dict[str, Any]) -> None:
    assert os_of(config_of(f"os: {{{text}, groups: }}")).model_dump(exclude_defaults=True) == values


def test_nothing_is_set_by_default() -> None:
    assert Os().model_dump(exclude_defaults=True) == {}


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    assert_one_problem(problems_of(unmarked(text)), text, key, message)
