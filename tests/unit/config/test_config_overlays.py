"""`os.overlays`."""

from __future__ import annotations

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, os_of, unmarked

from twinroot.config.image.overlays import Overlay

PLAIN = Overlay(mount_point="/m", lower_dirs=("/l",), upper_dir="/u", work_dir="/w")

RIGHT: list[tuple[str, tuple[Overlay, ...] | None]] = [
    ("", None),
    ("[]", ()),
    ("[{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w}]", (PLAIN,)),
    ("[{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w, isInitrdOverlay: no, mountOptions: ''}]",
        (PLAIN,)),
    (
        "[{mountPoint: /m, lowerDirs: [/l, /m], upperDir: /o/u, workDir: /o/w, isInitrdOverlay: true,"
        " mountDependencies: [/o, /], mountOptions: 'noatime,x-systemd.requires=a:b'}]",
        (
            Overlay(
                mount_point="/m",
                lower_dirs=("/l", "/m"),
                upper_dir="/o/u",
                work_dir="/o/w",
                is_initrd_overlay=True,
                mount_dependencies=("/o", "/"),
                mount_options="noatime,x-systemd.requires=a:b",
            ),
        ),
    ),
    # names that only begin alike, and directories that another overlay uses for another purpose
    ("[{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /uw}]", (Overlay(mount_point="/m",
        lower_dirs=("/l",), upper_dir="/u", work_dir="/uw"),)),
    ("[{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w}, "
        "{mountPoint: /u, lowerDirs: [/l], upperDir: /w, workDir: /m}]",
        (PLAIN, Overlay(mount_point="/u", lower_dirs=("/l",), upper_dir="/w", work_dir="/m"))),
]  # fmt: skip

V = "os.overlays[0]"
WRONG: list[Wrong] = [
    ("os: {overlays: «{}}", "os.overlays", "expected a list"),
    ("os: {overlays: [«/m]}", V, "expected a mapping"),
    ("os: {overlays: [«{upperDir: /u, workDir: /w}]}", V + ".mountPoint", "this key is required and missing"),
    ("os: {overlays: [«{mountPoint: /m, lowerDirs: [/l], workDir: /w}]}", V + ".upperDir",
        "this key is required and missing"),
    ("os: {overlays: [«{mountPoint: /m, lowerDirs: [/l], upperDir: /u}]}", V + ".workDir",
        "this key is required and missing"),
    ("os: {overlays: [{mountPoint: «m, lowerDirs: [/l], upperDir: /u, workDir: /w}]}", V + ".mountPoint",
        "the path 'm' must be absolute"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: «'', workDir: /w}]}", V + ".upperDir",
        "the path is empty"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: «'/u:v', workDir: /w}]}", V + ".upperDir",
        "the path '/u:v' may not contain white space, ':' or ','"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: «' '}]}", V + ".workDir",
        "the path ' ' may not contain white space"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: «/w w}]}", V + ".workDir",
        "the path '/w w' may not contain white space"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: «/u}]}", V + ".workDir",
        "'upperDir' and 'workDir' must be different directories"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: «//u/./}]}", V + ".workDir",
        "'upperDir' and 'workDir' must be different directories"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: «/u/w}]}", V + ".workDir",
        "'workDir' may not lie inside 'upperDir' ('/u')"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /, workDir: «/w}]}", V + ".workDir",
        "'workDir' may not lie inside 'upperDir' ('/')"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: «/w/u, workDir: /w/}]}", V + ".upperDir",
        "'upperDir' may not lie inside 'workDir' ('/w')"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: «/l, upperDir: /u, workDir: /w}]}", V + ".lowerDirs",
        "expected a list"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l, «''], upperDir: /u, workDir: /w}]}", V + ".lowerDirs[1]",
        "the path is empty"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [«l], upperDir: /u, workDir: /w}]}", V + ".lowerDirs[0]",
        "the path 'l' must be absolute"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w, mountDependencies: [/a, «a]}]}",
        V + ".mountDependencies[1]", "the path 'a' must be absolute"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w, mountOptions: «a b}]}",
        V + ".mountOptions",
        "the mount options 'a b' may not contain white space"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w, isInitrdOverlay: «1}]}",
        V + ".isInitrdOverlay",
        "'1' is neither true nor false"),
    ("os: {overlays: [«{mountPoint: /m, upperDir: /u, workDir: /w}]}", V + ".lowerDirs",
        "an overlay without 'lowerDirs' cannot be mounted"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: «[], upperDir: /u, workDir: /w}]}", V + ".lowerDirs",
        "an overlay without 'lowerDirs' cannot be mounted"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w, «lowerDir: /l}]}",
        V + ".lowerDir",
        "unknown key 'lowerDir'"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w}, "
        "{mountPoint: «/m/, lowerDirs: [/l], upperDir: /v, workDir: /x}]}",
        "os.overlays[1].mountPoint", "the mountPoint '/m/' is already used by overlays[0]"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w}, "
        "{mountPoint: /n, lowerDirs: [/l], upperDir: «/u, workDir: /x}]}",
        "os.overlays[1].upperDir", "the upperDir '/u' is already used by overlays[0]"),
    ("os: {overlays: [{mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /w}, "
        "{mountPoint: /n, lowerDirs: [/l], upperDir: /v, workDir: «//w}]}",
        "os.overlays[1].workDir", "the workDir '//w' is already used by overlays[0]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "overlays"), RIGHT)
def test_overlays(config_of: ConfigOf, text: str, overlays: tuple[Overlay, ...] | None) -> None:
    assert os_of(config_of(f"os: {{hostname: a, overlays: {text}}}")).overlays == overlays


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    assert_one_problem(problems_of(unmarked(text)), text, key, message)


def test_every_overlay_is_looked_at(problems_of: ProblemsOf) -> None:
    text = """\
os:
  overlays:
  - {mountPoint: m, lowerDirs: [/l], upperDir: /u, workDir: /w}
  - {mountPoint: /m, lowerDirs: [/l], upperDir: /u, workDir: /u/w}
  - {mountPoint: /n, lowerDirs: [/l], upperDir: /u}
"""
    assert [(problem.line, problem.key) for problem in problems_of(text)] == [
        (3, "os.overlays[0].mountPoint"),
        (4, "os.overlays[1].upperDir"),
        (4, "os.overlays[1].workDir"),
        (5, "os.overlays[2].workDir"),
        (5, "os.overlays[2].upperDir"),
    ]
