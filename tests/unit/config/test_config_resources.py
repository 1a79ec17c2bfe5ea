"""What configurations name on the host, and whether it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinroot.config.load import load_image_config, read_image_config
from twinroot.config.resources import resource_problems
from twinroot.errors import ConfigError

WHOLE = """\
previewFeatures: [output-artifacts, output-selinux-policy]
input: {image: {path: base.vhdx}}
iso: {additionalFiles: [{source: a, destination: /a}]}
pxe: {additionalFiles: [{source: a, destination: /a}]}
os:
  additionalFiles: [{source: a, destination: /a}, {content: x, destination: /b}]
  additionalDirs: [{source: d, destination: /d}]
  users:
    - {name: u, sshPublicKeyPaths: [a], password: {type: hashed-file, value: a}}
    - {name: v, password: {type: hashed, value: none}}
scripts:
  postCustomization: [{path: a}, {content: x}]
  finalizeCustomization: [{path: a}]
output:
  image: {path: out/image.raw, format: raw}
  artifacts: {path: art, items: [shim]}
  selinuxPolicyPath: policy
"""


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(WHOLE)
    for name in ("a", "base.vhdx"):
        (tmp_path / name).write_text("x")
    (tmp_path / "d").mkdir()
    return path


def problems(path: Path) -> list[tuple[str, str]]:
    found = resource_problems(load_image_config(path), input_and_output=True)
    return [(problem.key, problem.message.replace(f"{path.parent}/", "")) for problem in found]


def test_all_is_there(whole: Path) -> None:
    assert problems(whole) == []


def test_every_use_of_a_missing_file_is_named(whole: Path) -> None:
    (whole.parent / "a").unlink()
    missing = "there is no such file: a"
    assert sorted(problems(whole)) == [
        ("iso.additionalFiles[0].source", missing),
        ("os.additionalFiles[0].source", missing),
        ("os.users[0].password.value", missing),
        ("os.users[0].sshPublicKeyPaths[0]", missing),
        ("pxe.additionalFiles[0].source", missing),
        ("scripts.finalizeCustomization[0].path", missing),
        ("scripts.postCustomization[0].path", missing),
    ]


@pytest.mark.parametrize(
    ("name", "directory", "key", "message"),
    [
        ("base.vhdx", None, "input.image.path", "there is no such file: base.vhdx"),
        ("base.vhdx", True, "input.image.path", "this is a directory, a file is wanted: base.vhdx"),
        ("d", None, "os.additionalDirs[0].source", "there is no such directory: d"),
        ("d", False, "os.additionalDirs[0].source", "this is a file, a directory is wanted: d"),
        ("out/image.raw", True, "output.image.path", "this is a directory, a file is wanted: out/image.raw"),
        ("art", False, "output.artifacts.path", "this is a file, a directory is wanted: art"),
        ("policy", False, "output.selinuxPolicyPath", "this is a file, a directory is wanted: policy"),
    ],
)
def test_of_the_wrong_kind(whole: Path, name: str, directory: bool | None, key: str, message: str) -> None:
    path = whole.parent / name
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    if directory:
        path.mkdir(parents=True)
    elif directory is False:
        path.write_text("x")
    assert problems(whole) == [(key, message)]


def test_a_device_is_a_file_and_a_pxe_output_may_be_a_directory(whole: Path) -> None:
    whole.write_text(
        "os: {additionalFiles: [{source: /dev/zero, destination: /a}]}\noutput: {image: {path: d, format: pxe-dir}}"
    )
    assert problems(whole) == []


def test_only_the_last_base_image_of_a_chain_counts(whole: Path) -> None:
    (whole.parent / "sub").mkdir()
    base = whole.parent / "sub/base.yaml"
    base.write_text("input: {image: {path: absent}}\nos: {additionalDirs: [{source: d, destination: /d}]}")
    whole.write_text("previewFeatures: [base-configs]\nbaseConfigs: [{path: sub/base.yaml}]\ninput: {image: {path: a}}")
    (found,) = resource_problems(load_image_config(whole), input_and_output=True)
    assert (found.file, found.line, found.key) == (str(base), 2, "os.additionalDirs[0].source")
    assert found.message == f"there is no such directory: {whole.parent}/sub/d"


def test_a_script_stays_below_its_directory_also_through_links(whole: Path) -> None:
    outside = whole.parent.parent / f"{whole.parent.name}-outside"
    outside.write_text("x")
    (whole.parent / "a").unlink()
    (whole.parent / "a").symlink_to(outside)
    assert sorted(key for key, message in problems(whole) if "leads out of the directory" in message) == [
        "scripts.finalizeCustomization[0].path",
        "scripts.postCustomization[0].path",
    ]


def test_mistakes_and_what_is_missing_are_told_together_in_the_order_of_their_places(whole: Path) -> None:
    (whole.parent / "sub").mkdir()
    (whole.parent / "sub/base.yaml").write_text(
        """\
os:
  hostname: a_b
  additionalDirs: [{source: absent, destination: /d}]
  packages: {removeLists: [absent]}
"""
    )
    whole.write_text(
        """\
baseConfigs: [{pth: x}, {path: sub/base.yaml}]
previewFeatures: [base-configs]
input: {image: {path: absent}}
os:
  hostnam: x
  packages:
    instal: [vim]
    installLists: [absent]
  additionalFiles:
    - {souce: absent, destination: /a}
    - {source: absent}
  users: [{name: u, uid: x, password: {type: hashed-file, value: absent}}]
  modules: [{name: a}, {name: a}]
scripts:
  postCustomization: [{path: absent, argumnts: []}, {path: ../absent}]
output: {image: {path: d, format: pxe-dri}}
"""
    )
    read = read_image_config(whole)
    with pytest.raises(ConfigError) as caught:
        read.loaded(resource_problems(read, input_and_output=True))
    found = [(Path(problem.file).name, problem.line, problem.key) for problem in caught.value.problems]
    assert found == [
        ("c.yaml", 1, "baseConfigs[0].pth"),
        ("c.yaml", 3, "input.image.path"),
        ("c.yaml", 5, "os.hostnam"),
        ("c.yaml", 7, "os.packages.instal"),
        ("c.yaml", 8, "os.packages.installLists[0]"),
        ("c.yaml", 10, "os.additionalFiles[0].souce"),
        ("c.yaml", 11, "os.additionalFiles[1].destination"),
        ("c.yaml", 11, "os.additionalFiles[1].source"),
        ("c.yaml", 12, "os.users[0].uid"),
        ("c.yaml", 12, "os.users[0].password.value"),
        ("c.yaml", 13, "os.modules[1].name"),
        ("c.yaml", 15, "scripts.postCustomization[0].path"),
        ("c.yaml", 15, "scripts.postCustomization[0].argumnts"),
        ("c.yaml", 15, "scripts.postCustomization[1].path"),
        ("c.yaml", 16, "output.image.format"),
        ("base.yaml", 2, "os.hostname"),
        ("base.yaml", 3, "os.additionalDirs[0].source"),
        ("base.yaml", 4, "os.packages.removeLists[0]"),
    ]


@pytest.mark.parametrize("path", ["[a]", "{a: b}", "", "''"])
def test_what_is_no_path_is_not_looked_for(whole: Path, path: str) -> None:
    whole.write_text(f"os: {{additionalDirs: [{{source: {path}, destination: /d}}]}}")
    read = read_image_config(whole)
    assert [problem.key for problem in read.problems] == ["os.additionalDirs[0].source"]
    assert resource_problems(read, input_and_output=True) == []


def test_no_password_is_shown_with_what_is_missing_on_its_line(whole: Path) -> None:
    user = "{name: u, sshPublicKeyPaths: [absent], password: {type: plain-text, value: S3cret}}"
    whole.write_text(f"os: {{users: [{user}]}}")
    (found,) = resource_problems(read_image_config(whole), input_and_output=True)
    assert (found.key, found.text) == ("os.users[0].sshPublicKeyPaths[0]", None)


@pytest.mark.parametrize(
    "text",
    [
        'os: {additionalFiles: [{source: "a\\0b", destination: /a}]}',
        'os: {additionalDirs: [{source: "a\\0b", destination: /a}]}',
        'os: {packages: {installLists: ["a\\0b"]}}',
        'scripts: {postCustomization: [{path: "a\\0b"}]}',
        'baseConfigs: [{path: "a\\0b"}]',
        'output: {image: {path: "a\\0b"}}',
        'os: {users: [{name: a, sshPublicKeyPaths: ["a\\0b"]}]}',
        'os: {users: [{name: a, password: {type: plain-text-file, value: "a\\0b"}}]}',
    ],
)
def test_files_whose_names_nothing_can_have(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    read = read_image_config(tmp_path / "c.yaml")
    resource_problems(read, input_and_output=True)
    assert "the value contains a NUL character" in [problem.message for problem in read.problems]
