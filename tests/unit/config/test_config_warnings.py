"""What is allowed in an image configuration and probably not meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinroot.config.load import load_image_config, read_image_config

TWICE = "is listed twice"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("os: {users: [{name: a}, {name: b}], groups: [{name: a}]}", []),
        ("os:\n  users:\n  - name: a\n  - name: a", [(4, "os.users[1].name", f"the user 'a' {TWICE}")]),
        ("os: {groups: [{name: a}, {name: a}, {name: a}]}", [
            (1, "os.groups[1].name", f"the group 'a' {TWICE}"), (1, "os.groups[2].name", f"the group 'a' {TWICE}"),
        ]),
        ("os: {services: {enable: [a, b], disable: [c]}}", []),
        ("os: {services: {enable: [a, a.service]}}", [(1, "os.services.enable[1]", f"the service 'a' {TWICE}")]),
        ("os: {services: {enable: [a.socket, a.service]}}", []),
        ("os: {services: {enable: [a], disable: [a]}}", [
            (1, "os.services.disable[0]", "the service 'a' is enabled as well: it ends disabled"),
        ]),
        ("os: {packages: {install: [a], remove: [a], update: [a]}}", []),
        ("os: {packages: {install: [a, a]}}", [(1, "os.packages.install[1]", f"the package 'a' {TWICE}")]),
        ("os: {packages: {update: [a, b, a]}}", [(1, "os.packages.update[2]", f"the package 'a' {TWICE}")]),
        ("os: {packages: {removeLists: [list.yaml]}}", [(3, "packages[1]", f"the package 'vim' {TWICE}")]),
    ],
)  # fmt: skip
def test_warnings(tmp_path: Path, text: str, expected: list[tuple[int, str, str]]) -> None:
    (tmp_path / "list.yaml").write_text("packages:\n- vim\n- vim\n")
    (tmp_path / "c.yaml").write_text(text)
    loaded = load_image_config(tmp_path / "c.yaml")
    assert [(found.line, found.key, found.message) for found in loaded.warnings] == expected


def test_mistakes_come_first(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("os: {users: [{name: a}, {name: a}], colour: red}")
    read = read_image_config(tmp_path / "c.yaml")
    assert len(read.problems) == 1 and read.warnings == ()


def test_every_file_of_a_chain_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("os: {packages: {install: [a, a]}}")
    (tmp_path / "c.yaml").write_text(
        "previewFeatures: [base-configs]\nbaseConfigs: [{path: base.yaml}]\nos: {packages: {install: [a]}}"
    )
    (found,) = load_image_config(tmp_path / "c.yaml").warnings
    assert found.file == str(tmp_path / "base.yaml")
