"""`os.additionalFiles` and `os.additionalDirs`."""

from __future__ import annotations

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, os_of, unmarked

from twinroot.config.image.files import AdditionalDir, AdditionalFile

RIGHT_FILES: list[tuple[str, AdditionalFile]] = [
    ("{destination: /a, source: b}", AdditionalFile(destination="/a", source="b")),
    ("{destination: a, source: /b c}", AdditionalFile(destination="a", source="/b c")),
    ("{destination: /a, content: b}", AdditionalFile(destination="/a", content="b")),
    ("{destination: /a, content: ''}", AdditionalFile(destination="/a", content="")),
    ("{destination: /a, content: 3.0}", AdditionalFile(destination="/a", content="3.0")),
    ("{destination: /a, content: \"b\\nc\\n\"}", AdditionalFile(destination="/a", content="b\nc\n")),
    ("{destination: /a, content: b, source: ''}", AdditionalFile(destination="/a", content="b")),
    ("{destination: /a, content: b, source: }", AdditionalFile(destination="/a", content="b")),
    ("{destination: /a, source: b, content: }", AdditionalFile(destination="/a", source="b")),
    ("{destination: /a, source: b, permissions: 0}", AdditionalFile(destination="/a", source="b", permissions=0)),
    ("{destination: /a, source: b, permissions: '000'}", AdditionalFile(destination="/a", source="b", permissions=0)),
    ("{destination: /a, source: b, permissions: 755}", AdditionalFile(destination="/a", source="b", permissions=0o755)),
    ("{destination: /a, source: b, permissions: 0755}",
        AdditionalFile(destination="/a", source="b", permissions=0o755)),
    ("{destination: /a, source: b, permissions: \"777\"}",
        AdditionalFile(destination="/a", source="b", permissions=0o777)),
    ("{destination: /a, source: b, permissions: }", AdditionalFile(destination="/a", source="b")),
    ("{destination: /a, source: b, sha256hash: 00}", AdditionalFile(destination="/a", source="b", sha256hash="00")),
]  # fmt: skip

RIGHT_DIRS: list[tuple[str, AdditionalDir]] = [
    ("{source: a, destination: /b}", AdditionalDir(source="a", destination="/b")),
    (
        "{source: /a, destination: b, newDirPermissions: 0, mergedDirPermissions: 0700, childFilePermissions: '644'}",
        AdditionalDir(
            source="/a",
            destination="b",
            new_dir_permissions=0,
            merged_dir_permissions=0o700,
            child_file_permissions=0o644,
        ),
    ),
    (
        "{source: a, destination: /b, newDirPermissions: , sha256hashmap: {c/d: 00}}",
        AdditionalDir(source="a", destination="/b", sha256hashmap={"c/d": "00"}),
    ),
]

F, D = ("os.additionalFiles[0]", "os.additionalDirs[0]")
WRONG: list[Wrong] = [
    ("os: {additionalFiles: «{}}", "os.additionalFiles", "expected a list"),
    ("os: {additionalFiles: [«/a]}", F, "expected a mapping"),
    ("os: {additionalFiles: [«{source: a}]}", F + ".destination", "this key is required and missing"),
    ("os: {additionalFiles: [{destination: «'', source: a}]}", F + ".destination", "the value may not be empty"),
    ("os: {additionalFiles: [{destination: «[/a], source: a}]}", F + ".destination",
        "expected a single value, found a list"),
    ("os: {additionalFiles: [«{destination: /a}]}", F, "a file needs either 'source' or 'content'"),
    ("os: {additionalFiles: [«{destination: /a, source: ''}]}", F, "a file needs either 'source' or 'content'"),
    ("os: {additionalFiles: [«{destination: /a, content: }]}", F, "a file needs either 'source' or 'content'"),
    ("os: {additionalFiles: [{destination: /a, source: a, content: «b}]}", F + ".content",
        "'source' and 'content' may not be given together"),
    ("os: {additionalFiles: [{destination: /a, source: a, content: «''}]}", F + ".content",
        "'source' and 'content' may not be given together"),
    ("os: {additionalFiles: [{destination: /a, source: a, permissions: «1000}]}", F + ".permissions",
        "0o1000 contains bits that are not permissions"),
    ("os: {additionalFiles: [{destination: /a, source: a, permissions: «'7000'}]}", F + ".permissions",
        "0o7000 contains bits that are not permissions"),
    ("os: {additionalFiles: [{destination: /a, source: a, permissions: «999}]}", F + ".permissions",
        "'999' are not permissions"),
    ("os: {additionalFiles: [{destination: /a, source: a, permissions: «0o755}]}", F + ".permissions",
        "'0o755' are not permissions"),
    ("os: {additionalFiles: [{destination: /a, source: a, permissions: «''}]}", F + ".permissions",
        "'' are not permissions"),
    ("os: {additionalFiles: [{destination: /a, source: a, permissions: «[]}]}", F + ".permissions",
        "expected a single value, found a list"),
    ("os: {additionalFiles: [{destination: /a, source: a, «path: b}]}", F + ".path", "unknown key 'path'"),
    ("os: {additionalFiles: [{destination: /a, source: a, «sha256Hash: b}]}", F + ".sha256Hash",
        "unknown key 'sha256Hash'"),
    ("os: {additionalDirs: [«a]}", D, "expected a mapping"),
    ("os: {additionalDirs: [«{destination: /b}]}", D + ".source", "this key is required and missing"),
    ("os: {additionalDirs: [«{source: a}]}", D + ".destination", "this key is required and missing"),
    ("os: {additionalDirs: [{source: «'', destination: /b}]}", D + ".source", "the value may not be empty"),
    ("os: {additionalDirs: [{source: a, destination: «''}]}", D + ".destination", "the value may not be empty"),
    ("os: {additionalDirs: [{source: a, destination: /b, newDirPermissions: «1000}]}", D + ".newDirPermissions",
        "0o1000 contains bits"),
    ("os: {additionalDirs: [{source: a, destination: /b, mergedDirPermissions: «7000}]}", D + ".mergedDirPermissions",
        "0o7000 contains bits"),
    ("os: {additionalDirs: [{source: a, destination: /b, childFilePermissions: «1777}]}", D + ".childFilePermissions",
        "0o1777 contains bits"),
    ("os: {additionalDirs: [{source: a, destination: /b, «permissions: 755}]}", D + ".permissions",
        "unknown key 'permissions'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "file"), RIGHT_FILES)
def test_files(config_of: ConfigOf, text: str, file: AdditionalFile) -> None:
    assert os_of(config_of(f"os: {{additionalFiles: [{text}]}}")).additional_files == (file,)


@pytest.mark.parametrize(("text", "directory"), RIGHT_DIRS)
def test_directories(config_of: ConfigOf, text: str, directory: AdditionalDir) -> None:
    assert os_of(config_of(f"os: {{additionalDirs: [{text}]}}")).additional_dirs == (directory,)


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    assert_one_problem(problems_of(unmarked(text)), text, key, message)


def test_every_file_is_looked_at(problems_of: ProblemsOf) -> None:
    text = """\
os:
  additionalFiles:
  - {destination: /a, source: a, permissions: 8}
  - {destination: /a}
  - {destination: /a, source: a, content: a}
  additionalDirs: [{source: a, destination: /b, newDirPermissions: 8, mergedDirPermissions: 9}]
"""
    assert [(problem.line, problem.key) for problem in problems_of(text)] == [
        (3, F + ".permissions"),
        (4, "os.additionalFiles[1]"),
        (5, "os.additionalFiles[2].content"),
        (6, D + ".newDirPermissions"),
        (6, D + ".mergedDirPermissions"),
    ]
