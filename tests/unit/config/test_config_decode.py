"""Mistakes of single values: the message, and the exact place, which « marks in the text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twinroot.config.decode import decode
from twinroot.config.image.config import ImageConfig
from twinroot.config.yaml import parse
from twinroot.errors import Problem

ProblemsOf = Callable[[str], list[Problem]]

PARTITION = "storage:\n  disks:\n    - partitionTableType: gpt\n      partitions:\n        - id: a\n          "
FILESYSTEM = "storage:\n  filesystems:\n    - deviceId: a\n      "

P = "storage.disks[0].partitions[0]"
F = "storage.filesystems[0]"

ONE_MISTAKE = [
    # unknown keys, at every level
    ("«ostrich: 1", "ostrich", "unknown key 'ostrich'", "known here: baseConfigs, input, iso, os,"),
    ("os:\n  «bootLoader:\n    resetType: hard-reset", "os.bootLoader", "unknown key", "did you mean 'bootloader'?"),
    ("os:\n  «user: []", "os.user", "unknown key 'user'", "did you mean 'users'?"),
    ("os: {packages: {«instal: [vim]}}", "os.packages.instal", "unknown key", "did you mean 'install'?"),
    ("storage:\n  «fileSystems: []", "storage.fileSystems", "unknown key", "did you mean 'filesystems'?"),
    ("«hostname: a", "hostname", "unknown key 'hostname'", "it belongs in os"),
    ("os:\n  «verity: []", "os.verity", "unknown key", "it belongs in storage"),
    ("os:\n  «idType: uuid", "os.idType", "unknown key", "subvolumes[].mountPoint, storage.filesystems[].mountPoint"),
    ("os:\n  «iso: {}", "os.iso", "unknown key", "it belongs in the top level"),
    ("os:\n  «reset_type: a", "os.reset_type", "unknown key", None),
    (PARTITION + "«lable: x", P + ".lable", "unknown key", "did you mean 'label'?"),
    (FILESYSTEM + "mountPoint: {path: /, «option: x}", F + ".mountPoint.option",
        "unknown key", "did you mean 'options'?"),
    ("«'a b': 1", "'a b'", "unknown key 'a b'", None),
    # values of the wrong kind
    ("«- a", "", "expected a mapping (lines of 'key: value'), found a list", None),
    ("«text", "", "expected a mapping (lines of 'key: value'), found the value 'text'", None),
    ("os: «yes", "os", "expected a mapping (lines of 'key: value'), found the value 'yes'", None),
    ("os:\n  hostname: «[a]", "os.hostname", "expected a single value, found a list", None),
    ("os:\n  hostname:\n    «a: b", "os.hostname", "expected a single value, found a mapping", None),
    ("os:\n  packages:\n    install: «vim", "os.packages.install",
        "expected a list (lines that begin with '- '), found the value 'vim'", None),
    ("os:\n  packages:\n    install:\n    - vim\n    - «{a: b}", "os.packages.install[1]",
        "expected a single value, found a mapping", None),
    ("os:\n  packages:\n    install:\n    - vim\n    - «~", "os.packages.install[1]",
        "expected a single value, found nothing", None),
    ("previewFeatures: [uki, «~]", "previewFeatures[1]", "expected uki, output-artifacts", None),
    ("previewFeatures: [«[]]", "previewFeatures[0]", "expected uki, output-artifacts", None),
    (PARTITION + "size: «[]", P + ".size", "expected a single value, found a list", None),
    (PARTITION + "start: «{}", P + ".start", "expected a single value, found a mapping", None),
    ("storage:\n  disks:\n    - «~", "storage.disks[0]", "expected a mapping", None),
    ("storage: {disks: [«a]}", "storage.disks[0]", "expected a mapping", None),
    (FILESYSTEM + "mountPoint: «[/]", F + ".mountPoint", "expected a mapping", None),
    # wrong values
    ("os: {hostname: «a_b}", "os.hostname", "'a_b' is not a host name", None),
    ("os: {bootloader: {resetType: «soft}}", "os.bootloader.resetType",
        "'soft' is not allowed here: use hard-reset", None),
    ("os: {kernelCommandLine: {extraCommandLine: [a, «'']}}", "os.kernelCommandLine.extraCommandLine[1]",
        "the value may not be empty", None),
    ("os: {services: {enable: [«'']}}", "os.services.enable[0]", "the value may not be empty", None),
    ("os: {services: {disable: [sshd, «'']}}", "os.services.disable[1]", "the value may not be empty", None),
    ("os: {packages: {updateExistingPackages: «maybe}}", "os.packages.updateExistingPackages",
        "'maybe' is neither", None),
    ("storage: {bootType: «bios}", "storage.bootType", "'bios' is not allowed here: use efi or legacy", None),
    ("storage: {disks: [«{maxSize: 1G}]}", "storage.disks[0].partitionTableType",
        "this key is required and missing", None),
    ("storage: {disks: [{partitionTableType: «a}]}", "storage.disks[0].partitionTableType", "'a' is not allowed", None),
    ("storage: {disks: [{partitionTableType: «''}]}", "storage.disks[0].partitionTableType", "'' is not allowed", None),
    ("storage: {disks: [{partitionTableType: gpt, maxSize: «0M}]}", "storage.disks[0].maxSize",
        "the size must be larger", None),
    (PARTITION + "size: «512K", P + ".size", "the size '512K' is not a multiple", "1024K is 1M"),
    (PARTITION + "size: «4", P + ".size", "the size '4' has no unit", ", or grow"),
    (PARTITION + "size: «0M", P + ".size", "the size must be larger than zero", None),
    (PARTITION + "label: «" + "x" * 36, P + ".label", "the label", "at most 35 characters"),
    (PARTITION + "type: «espp", P + ".type", "'espp' is not a partition type", "did you mean 'esp'?"),
    ("storage: {filesystems: [«{type: ext4}]}", F + ".deviceId", "this key is required and missing", None),
    ("storage: {filesystems: [{deviceId: «''}]}", F + ".deviceId", "the value may not be empty", None),
    (FILESYSTEM + "type: «ext5", F + ".type", "'ext5' is not allowed here", "did you mean 'ext4'?"),
    (FILESYSTEM + "mountPoint: «var", F + ".mountPoint", "the path 'var' must be absolute", None),
    (FILESYSTEM + "mountPoint: «''", F + ".mountPoint", "the path is empty", None),
    (FILESYSTEM + "mountPoint: {path: «''}", F + ".mountPoint.path", "the path is empty", None),
    (FILESYSTEM + "mountPoint: «{options: ro}", F + ".mountPoint.path", "this key is required", None),
    (FILESYSTEM + "mountPoint: {path: /, options: «a b}", F + ".mountPoint.options", "the mount options", None),
    (FILESYSTEM + "mountPoint: {path: /, idType: «label}", F + ".mountPoint.idType",
        "'label' is not allowed", "did you mean 'part-label'?"),
    ("output: {image: {format: «tar}}", "output.image.format", "'tar' is not allowed here: use vhd,", None),
    ("output: {image: {cosi: {compression: {level: «0}}}}", "output.image.cosi.compression.level",
        "0 is out of range", "1 to 22"),
    ("output: {image: {cosi: {compression: {level: «23}}}}", "output.image.cosi.compression.level",
        "23 is out of range", None),
    ("previewFeatures: [uki, «crash-dump]", "previewFeatures[1]", "'crash-dump' is not allowed here", None),
    ("os: {hostname: a}\n«os: {hostname: b}", "", "the key 'os' is given twice", "line 1, column 1"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "message", "hint"), ONE_MISTAKE, ids=lambda value: str(value)[-40:])
def test_one_mistake(text: str, key: str, message: str, hint: str | None) -> None:
    """The texts lack what other rules want."""
    before = text[: text.index("«")]
    (problem,) = decode(parse(text.replace("«", "").encode(), "f"), ImageConfig).problems
    assert (problem.key, problem.message[: len(message)]) == (key, message)
    assert (problem.line, problem.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert problem.text == text.replace("«", "").splitlines()[problem.line - 1]
    assert hint is None or hint in (problem.hint or "")


RIGHT = [
    "{}",
    "os:",
    "os: {}",
    "storage:\noutput:\ninput:\n  image:\n    path:\n",
    "os:\n  hostname: ''\n  packages:\n    install:\n    update: []\n  bootloader: {resetType: ''}\n",
    "os: {users: ~, hostname: 123}",
    "storage: {bootType: ''}",
    "input: {image: {path: base.raw}}\noutput: {image: {path: out.cosi, format: cosi}}",
    "output: {image: {format: '', path: '', cosi: {compression: {level: 0x10}}}}",
    "previewFeatures: [uki, uki, base-configs]",
    "os: {packages: {updateExistingPackages: on}}",
    "os: {kernelCommandLine: {extraCommandLine: [rd.info, 'dyndbg=\"a b\"']}}",
]


@pytest.mark.parametrize("text", RIGHT)
def test_right(problems_of: ProblemsOf, text: str) -> None:
    assert problems_of(text) == []


def test_every_mistake_is_reported_at_once(problems_of: ProblemsOf) -> None:
    text = """\
stroage: {}
storage:
  bootType: efi
  filesystems:
  - deviceId: a
    mountPoint: /a
  - deviceId: b
    mountPoint: /a
os:
  hostname: a_b
  hostname: c
  users: [{}]
  packages:
    install: [vim, '', []]
    unstall: []
previewFeatures: [uky]
"""
    assert [(problem.line, problem.key or problem.message) for problem in problems_of(text)] == [
        (1, "stroage"),
        (3, "storage.bootType"),
        (5, "storage.filesystems"),
        (6, "storage.filesystems[0].mountPoint"),
        (8, "storage.filesystems[1].mountPoint"),
        (8, "storage.filesystems[1].mountPoint"),
        (10, "os.hostname"),
        (11, "the key 'hostname' is given twice"),
        (12, "os.users[0].name"),
        (14, "os.packages.install[1]"),
        (14, "os.packages.install[2]"),
        (15, "os.packages.unstall"),
        (16, "previewFeatures[0]"),
    ]


def test_a_wrong_value_does_not_cause_follow_up_errors(problems_of: ProblemsOf) -> None:
    """`disks` is not complained about because of an unreadable bootType, but what is independent of it is."""
    text = "storage:\n  bootType: uefi\n  disks: [{partitionTableType: gpt}]\n"
    assert [problem.key for problem in problems_of(text)] == [
        "storage.bootType",
        "os.bootloader.resetType",
        "storage.filesystems",
        "storage.disks[0].maxSize",
    ]
    assert [problem.key for problem in problems_of("storage:\n  bootType: efi\n  disk: []\n")] == ["storage.disk"]


def test_many_mistakes_are_cut_off(problems_of: ProblemsOf) -> None:
    problems = problems_of("os: {packages: {install: [" + "[]," * 500 + "]}}")
    assert len(problems) == 101
    assert problems[0].message == "there are 400 more problems in this file"


def test_an_unknown_key_hides_no_other_mistake(problems_of: ProblemsOf) -> None:
    """Neither what its object finds in itself, nor what rules find that read the section."""
    text = """\
os:
  colour: red
  additionalFiles:
    - {source: a, content: b, destination: /x, taste: sweet}
storage:
  shape: round
  bootType: efi
  disks:
    - {partitionTableType: gpt, maxSize: 1G, partitions: [{id: a, size: 2G, smell: good}]}
"""
    found = [problem.key for problem in problems_of(text)]
    assert {"os.colour", "os.additionalFiles[0].taste", "storage.shape"} <= set(found)
    assert "storage.disks[0].partitions[0].smell" in found
    assert len(found) > 4 + 1, found
