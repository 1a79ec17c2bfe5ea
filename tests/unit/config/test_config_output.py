"""`output`: the image, artifacts, the SELinux policy."""

from __future__ import annotations

from typing import get_args

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, unmarked

from twinroot.config.image.output import Artifacts, Cosi, CosiCompression, Output, OutputFormat, OutputImage

FEATURES = "previewFeatures: [output-artifacts, output-selinux-policy]\n"
FORMATS = ("vhd", "vhd-fixed", "vhdx", "qcow2", "raw", "iso", "pxe-dir", "pxe-tar", "cosi", "baremetal-image")


def level(number: int) -> Output:
    return Output(image=OutputImage(cosi=Cosi(compression=CosiCompression(level=number))))


RIGHT: list[tuple[str, Output]] = [
    ("", Output()),
    ("{image: , artifacts: , selinuxPolicyPath: }", Output()),
    ("{image: {path: '', format: '', cosi: }, selinuxPolicyPath: ''}", Output()),
    ("{image: {cosi: {compression: {level: }}}}", Output()),
    *[(f"{{image: {{path: out/a, format: {name}}}}}", Output(image=OutputImage(path="out/a", format=name)))
        for name in get_args(OutputFormat)],
    *[(f"{{image: {{cosi: {{compression: {{level: {number}}}}}}}}}", level(number)) for number in (1, 9, 15, 22)],
    ("{image: {format: raw, cosi: {compression: {level: 0x16}}}}",
        Output(image=OutputImage(format="raw", cosi=Cosi(compression=CosiCompression(level=22))))),
    ("{artifacts: {path: a, items: [ukis, shim, bootloader, verity-hash]}}",
        Output(artifacts=Artifacts(path="a", items=("ukis", "shim", "bootloader", "verity-hash")))),
    ("{artifacts: {path: /a b, items: ['', ukis, ukis]}}",
        Output(artifacts=Artifacts(path="/a b", items=("", "ukis", "ukis")))),
    ("{selinuxPolicyPath: ../policy}", Output(selinux_policy_path="../policy")),
]  # fmt: skip

L, A = ("output.image.cosi.compression.level", "output.artifacts")
WRONG: list[Wrong] = [
    ("output: «cosi", "output", "expected a mapping"),
    ("output: {image: «out.raw}", "output.image", "expected a mapping"),
    ("output: {«path: a}", "output.path", "unknown key 'path'"),
    ("output: {image: {path: «[a]}}", "output.image.path", "expected a single value, found a list"),
    ("output: {image: {format: «VHDX}}", "output.image.format", "'VHDX' is not allowed here: use vhd, vhd-fixed,"),
    ("output: {image: {format: «tar}}", "output.image.format", "'tar' is not allowed here"),
    ("output: {image: {cosi: {compression: «9}}}", "output.image.cosi.compression", "expected a mapping"),
    ("output: {image: {cosi: {«level: 9}}}", "output.image.cosi.level", "unknown key 'level'"),
    *[(f"output: {{image: {{cosi: {{compression: {{level: «{number}}}}}}}}}", L, f"{number} is out of range")
        for number in (-1, 0, 23, 100)],
    ("output: {image: {cosi: {compression: {level: «fast}}}}", L, "'fast' is not a whole number"),
    ("output: {image: {cosi: {compression: {level: «''}}}}", L, "'' is not a whole number"),
    ("output: {artifacts: «[ukis]}", A, "expected a mapping"),
    ("output: {artifacts: «{path: a}}", A + ".items", "this key is required and missing"),
    ("output: {artifacts: «{items: [ukis]}}", A + ".path", "this key is required and missing"),
    ("output: {artifacts: {path: «'', items: [ukis]}}", A + ".path", "the value may not be empty"),
    ("output: {artifacts: {path: a, items: «[]}}", A + ".items", "the list may not be empty"),
    ("output: {artifacts: {path: a, items: «ukis}}", A + ".items", "expected a list"),
    ("output: {artifacts: {path: a, items: «~}}", A + ".items", "this key is required and missing"),
    ("output: {artifacts: {path: a, items: [ukis, «~]}}", A + ".items[1]", "expected a single value, found nothing"),
    ("output: {artifacts: {path: a, items: [shim, «uki]}}", A + ".items[1]",
        "'uki' is not allowed here: use ukis, shim, bootloader or verity-hash"),
    ("output: {artifacts: {path: a, items: [«uki-addons]}}", A + ".items[0]", "'uki-addons' is not allowed here"),
    ("output: {selinuxPolicyPath: «[a]}", "output.selinuxPolicyPath", "expected a single value, found a list"),
]  # fmt: skip


def test_the_formats_are_all_there() -> None:
    assert get_args(OutputFormat) == FORMATS


@pytest.mark.parametrize(("text", "output"), RIGHT)
def test_output(config_of: ConfigOf, text: str, output: Output) -> None:
    assert config_of(f"{FEATURES}output: {text}").output == output


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    assert_one_problem(problems_of(f"{unmarked(text)}\n{FEATURES}"), text, key, message)


def test_artifacts_without_anything(problems_of: ProblemsOf) -> None:
    assert [problem.key for problem in problems_of(FEATURES + "output: {artifacts: {}}")] == [A + ".path", A + ".items"]


def test_what_holds_uki_addons_is_said(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(FEATURES + "output: {artifacts: {path: a, items: [uki-addons]}}")
    assert problem.hint == "'ukis' includes the add-ons"


def disk(keys: str) -> str:
    return (
        f"storage: {{bootType: efi, disks: [{{partitionTableType: gpt, {keys}}}], filesystems: ["
        "{deviceId: e, type: fat32, mountPoint: /boot/efi}, {deviceId: r, type: ext4, mountPoint: /}]}\n"
        "os: {bootloader: {resetType: hard-reset}}\n"
    )


D = "storage.disks[0]."
ESP = "{id: e, type: esp, size: 8M}"
TOO_LARGE: list[tuple[str, str, str]] = [
    ("vhd", f"maxSize: «2041G, partitions: [{ESP}, {{id: r, size: grow}}]", D + "maxSize"),
    ("vhd", f"partitions: [{ESP}, {{id: r, size: «2040G}}]", D + "partitions[1].size"),
    ("vhd", f"partitions: [{ESP}, {{id: r, end: «3T}}]", D + "partitions[1].end"),
    ("vhdx", f"maxSize: «65T, partitions: [{ESP}, {{id: r, size: 1G}}]", D + "maxSize"),
]


@pytest.mark.parametrize(("name", "keys", "key"), TOO_LARGE)
def test_disks_that_the_format_cannot_hold(problems_of: ProblemsOf, name: str, keys: str, key: str) -> None:
    text = disk(keys) + f"output: {{image: {{format: {name}}}}}"
    assert_one_problem(problems_of(unmarked(text)), text, key, "the disk has ")


def test_the_largest_disks(config_of: ConfigOf) -> None:
    for name, size in (("vhd", "2040G"), ("vhdx", "64T"), ("vhd-fixed", "99T"), ("cosi", "99T")):
        keys = f"maxSize: {size}, partitions: [{ESP}, {{id: r, size: grow}}]"
        assert config_of(disk(keys) + f"output: {{image: {{format: {name}}}}}").output.image.format == name
