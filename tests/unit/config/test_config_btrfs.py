"""Btrfs file systems: subvolumes, their mount points and quotas."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.config.marked import NO_ROOT, ConfigOf

from twinroot.config.image.btrfs import Btrfs, BtrfsQuota, BtrfsSubvolume, subvolume_path
from twinroot.config.image.mount_point import MountPoint
from twinroot.config.scalars import ScalarError
from twinroot.errors import Problem
from twinroot.units import GIB, MIB

ProblemsOf = Callable[[str], list[Problem]]
Expected = list[tuple[int, str, str]]
"""Line, last part of the key, and beginning of the message of each problem."""

HEAD = """\
previewFeatures: [btrfs]
os: {bootloader: {resetType: hard-reset}}
storage:
  bootType: efi
  disks:
  - partitionTableType: gpt
    partitions: [{id: esp, type: esp, size: 8M, label: a}, {id: root, size: 4G}, {id: data, size: 4G, label: a}]
  filesystems:
  - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
"""
F = "storage.filesystems"


def assert_problems(found: list[Problem], expected: Expected) -> None:
    found = [problem for problem in found if problem.message != NO_ROOT]
    assert [(problem.line, problem.key) for problem in found] == [(line, F + key) for line, key, _ in expected]
    for problem, (_, _, message) in zip(found, expected, strict=True):
        assert problem.message.startswith(message)


@pytest.mark.parametrize("path", ["root", "@", "@root", "var/log", ".snapshots/1", "a..b", "...", "a b:c,d", "é"])
def test_paths_of_subvolumes(path: str) -> None:
    assert subvolume_path(path) == path


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("", "the path is empty", "write a relative path such as @root"),
        ("/", "the path '/' may not begin or end with '/'", "write '@root'"),
        ("//", "the path '//' may not begin or end with '/'", "write '@root'"),
        ("/a", "the path '/a' may not begin or end with '/'", "write 'a'"),
        ("a/", "the path 'a/' may not begin or end with '/'", "write 'a'"),
        ("a//b", "the path 'a//b' may not contain '//'", None),
        (".", "the path '.' may not contain '.'", None),
        ("..", "the path '..' may not contain '..'", None),
        ("./a", "the path './a' may not contain '.'", None),
        ("../a", "the path '../a' may not contain '..'", None),
        ("a/./b", "the path 'a/./b' may not contain '.'", None),
        ("a/../b", "the path 'a/../b' may not contain '..'", None),
        ("a/..", "the path 'a/..' may not contain '..'", None),
        ("é" * 2048, "the path", "at most 4095 bytes are possible"),
    ],
)
def test_wrong_paths_of_subvolumes(path: str, message: str, hint: str | None) -> None:
    with pytest.raises(ScalarError) as caught:
        subvolume_path(path)
    assert caught.value.message.startswith(message)
    assert caught.value.hint == hint


def test_everything_of_btrfs(config_of: ConfigOf) -> None:
    text = (
        HEAD
        + """\
  - deviceId: root
    type: btrfs
    btrfs:
      subvolumes:
      - {path: "@root", mountPoint: /}
      - {path: home, mountPoint: {path: /home, options: "compress=zstd", idType: uuid}}
      - {path: unmounted, mountPoint: , quota: {referencedLimit: 1G, exclusiveLimit: 512M}}
"""
    )
    assert config_of(text).storage.filesystems[1].btrfs == Btrfs(
        subvolumes=(
            BtrfsSubvolume(path="@root", mount_point=MountPoint(path="/")),
            BtrfsSubvolume(path="home", mount_point=MountPoint(path="/home", options="compress=zstd", id_type="uuid")),
            BtrfsSubvolume(path="unmounted", quota=BtrfsQuota(referenced_limit=GIB, exclusive_limit=512 * MIB)),
        )
    )


FILESYSTEMS: list[tuple[str, Expected]] = [
    # the file system on root, without its deviceId
    ("type: btrfs", []),
    ("type: btrfs, mountPoint: /", []),
    ("type: btrfs, btrfs: , mountPoint: /", []),
    ("type: btrfs, btrfs: {}, mountPoint: /", []),
    ("type: btrfs, btrfs: {subvolumes: []}, mountPoint: /", []),
    ("type: btrfs, mountPoint: {path: /, options: 'compress=zstd,subvolume=x'}", []),
    ("type: ext4, btrfs: , mountPoint: /", []),
    ("type: ext4, btrfs: {}", [(10, "[1].btrfs", "this key is only allowed with type btrfs")]),
    ("type: ext4, btrfs: {subvolumes: [{path: a}]}", [(10, "[1].btrfs", "this key is only allowed with type btrfs")]),
    ("btrfs: {}", [(10, "[1].btrfs", "this key is only allowed with type btrfs")]),
    ("type: btrfs, mountPoint: /, btrfs: {subvolumes: [{path: a}]}", [
        (10, "[1].mountPoint", "this key is not allowed together with 'btrfs.subvolumes'"),
    ]),
    ("type: btrfs, btrfs: []", [(10, "[1].btrfs", "expected a mapping")]),
    ("type: btrfs, btrfs: {subvolume: []}", [(10, "[1].btrfs.subvolume", "unknown key 'subvolume'")]),
    ("type: btrfs, btrfs: {subvolumes: {path: a}}", [(10, "[1].btrfs.subvolumes", "expected a list")]),
    ("type: btrfs, btrfs: {subvolumes: [a]}", [(10, "[1].btrfs.subvolumes[0]", "expected a mapping")]),
    ("type: btrfs, btrfs: {subvolumes: [{}]}", [(10, "[1].btrfs.subvolumes[0].path", "this key is required")]),
    ("type: btrfs, btrfs: {subvolumes: [{path: /a}]}", [
        (10, "[1].btrfs.subvolumes[0].path", "the path '/a' may not begin"),
    ]),
    *(
        (f"type: btrfs, mountPoint: {{path: /, options: '{options}'}}", [
            (10, "[1].mountPoint.options", f"the mount option '{named}' is not allowed here"),
        ])
        for options, named in (
            ("subvol=a", "subvol=a"), ("subvolid=5", "subvolid=5"), ("ro,subvol=/a/b,noatime", "subvol=/a/b"),
        )
    ),
    ("type: btrfs, btrfs: {subvolumes: [{path: a, mountPoint: {path: /, options: 'ro,subvolid=5'}}]}", [
        (10, "[1].btrfs.subvolumes[0].mountPoint.options", "the mount option 'subvolid=5' is not allowed here"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("filesystem", "expected"), FILESYSTEMS)
def test_file_systems(problems_of: ProblemsOf, filesystem: str, expected: Expected) -> None:
    assert_problems(problems_of(HEAD + f"  - {{deviceId: root, {filesystem}}}\n"), expected)


SUBVOLUMES: list[tuple[str, Expected]] = [
    # the subvolumes of root, from line 11 on; the file system of data is the next one
    ("{path: a}", []),
    ("{path: a, mountPoint: /}\n{path: a/b, mountPoint: /a/b}", []),
    ("{path: a}\n{path: a}", [(12, "[1].btrfs.subvolumes[1].path", "the path 'a' is already used by another")]),
    ("{path: a}\n{path: b}\n{path: a}", [(13, "[1].btrfs.subvolumes[2].path", "the path 'a' is already used")]),
    ("{path: a, mountPoint: /a}\n{path: b, mountPoint: /a/}", [
        (12, "[1].btrfs.subvolumes[1].mountPoint", "the mount point '/a' is already used by filesystems[1].btrfs.sub"),
    ]),
    ("{path: a, mountPoint: {path: /boot/efi}}", [
        (11, "[1].btrfs.subvolumes[0].mountPoint.path", "the mount point '/boot/efi' is already used by"),
    ]),
    ("{path: a, mountPoint: a}", [(11, "[1].btrfs.subvolumes[0].mountPoint", "the path 'a' must be absolute")]),
    ("{path: a, mountPoint: {path: /, options: 'a b'}}", [
        (11, "[1].btrfs.subvolumes[0].mountPoint.options", "the mount options 'a b' may not contain white space"),
    ]),
    ("{path: a, mountPoint: {path: /, idType: part-label}}", [
        (11, "[1].btrfs.subvolumes[0].mountPoint.idType", "part-label needs a 'label' for the partition 'root'"),
    ]),
    *(
        (f"{{path: a, quota: {{{limit}: {value}}}}}", [(11, f"[1].btrfs.subvolumes[0].quota.{limit}", message)])
        for limit in ("referencedLimit", "exclusiveLimit")
        for value, message in (
            ("0M", "the size must be larger than zero"), ("512K", "the size '512K' is not a multiple"),
            ("1", "the size '1' has no unit"), ("grow", "'grow' is not a size"), ("[]", "expected a single value"),
        )
    ),
    ("{path: a, quota: {}}\n{path: b, quota: }", []),
    ("{path: a, quota: 1G}", [(11, "[1].btrfs.subvolumes[0].quota", "expected a mapping")]),
]  # fmt: skip

LOOPS: list[tuple[list[str], list[tuple[int, str, str]]]] = [
    # `path→mount point` of each subvolume, and number of the loops' outer one, its path and the path inside
    (["var→/var/log", "var/log→/var"], [(0, "var", "var/log")]),
    (["var/log→/var", "var→/var/log"], [(1, "var", "var/log")]),
    (["x→/x", "var/log→/var", "y→/y", "var→/var/log"], [(3, "var", "var/log")]),
    (["var→/a/b/c/d", "var/x/y/z→/a"], [(0, "var", "var/x/y/z")]),
    (["var→/a/b", "var/x→/", "var/y→/c"], [(0, "var", "var/x")]),
    (["a→/x/y/z", "a/b→/x/y", "a/b/c→/x"], [(0, "a", "a/b"), (1, "a/b", "a/b/c")]),
    # loops that the spelling of the mount point hides
    (["var→/var//log/", "var/log→/var/."], [(0, "var", "var/log")]),
    (["var→/./var/log", "var/log→//var"], [(0, "var", "var/log")]),
    # no loops
    (["var→/var", "var/log→/var/log"], []),
    (["var", "var/log→/var"], []),
    (["var→/var/log", "var/log"], []),
    (["var→/var/log", "variable/log→/var"], []),
    (["var→/var/log", "var-x→/var", "var/y→/y"], []),
    (["var→/variable", "var/log→/var"], []),
    (["log→/var/log", "var→/var"], []),
    (["a→/a", "a/b→/"], [(0, "a", "a/b")]),
]


def volume(text: str) -> str:
    path, _, target = text.partition("→")
    return f"      - {{path: {path}, mountPoint: {target}}}\n" if target else f"      - {{path: {path}}}\n"


def btrfs(volumes: str, device: str = "root") -> str:
    return f"  - {{deviceId: {device}, type: btrfs, btrfs: {{subvolumes: [\n{volumes}]}}}}\n"


@pytest.mark.parametrize(("volumes", "expected"), SUBVOLUMES)
def test_subvolumes(problems_of: ProblemsOf, volumes: str, expected: Expected) -> None:
    assert_problems(problems_of(HEAD + btrfs(volumes.replace("\n", ",\n"))), expected)


@pytest.mark.parametrize(("volumes", "expected"), LOOPS)
def test_mount_loops(problems_of: ProblemsOf, volumes: list[str], expected: list[tuple[int, str, str]]) -> None:
    text = HEAD + "  - deviceId: root\n    type: btrfs\n    btrfs:\n      subvolumes:\n" + "".join(map(volume, volumes))
    assert_problems(
        problems_of(text),
        [
            (14 + n, f"[1].btrfs.subvolumes[{n}].mountPoint", f"the subvolume '{path}' contains '{inner}', but is")
            for n, path, inner in expected
        ],
    )


@pytest.mark.parametrize(
    ("root", "data", "expected"),
    [
        ("{path: a, mountPoint: /a}", "{path: a, mountPoint: /b}", []),
        ("{path: a, mountPoint: /a}", "{path: b, mountPoint: /a}", [
            (13, "[2].btrfs.subvolumes[0].mountPoint",
                "the mount point '/a' is already used by filesystems[1].btrfs.subvolumes[0]"),
        ]),
        # loops are within one file system only
        ("{path: var, mountPoint: /var/log}", "{path: var/log, mountPoint: /var}", []),
        ("{path: a, mountPoint: /a}", "{path: b, mountPoint: {path: /b, idType: part-label}}", [
            (13, "[2].btrfs.subvolumes[0].mountPoint.idType",
                "part-label needs a unique label, but 'a' is given twice"),
        ]),
    ],
)  # fmt: skip
def test_two_file_systems(problems_of: ProblemsOf, root: str, data: str, expected: Expected) -> None:
    assert_problems(problems_of(HEAD + btrfs(root) + btrfs(data, "data")), expected)


def test_the_preview_feature(problems_of: ProblemsOf) -> None:
    text = HEAD.replace("previewFeatures: [btrfs]", "") + "  - {deviceId: root, type: btrfs}\n"
    assert_problems(problems_of(text), [(10, "[1].type", "this needs the preview feature 'btrfs'")])
