"""The configuration of inject-files."""

from __future__ import annotations

import pytest
from tests.unit.config.marked import Wrong, assert_one_problem, unmarked

from twinroot.config.decode import Decoded, decode
from twinroot.config.image.inject_files import InjectFile, InjectFilesConfig, InjectPartition
from twinroot.config.yaml import parse

UUID = "0f0e0d0c-0b0a-4908-8706-050403020100"


def read(text: str) -> Decoded[InjectFilesConfig]:
    return decode(parse(text.encode(), "inject.yaml"), InjectFilesConfig)


RIGHT: list[tuple[str, InjectFile]] = [
    (
        f"{{partition: {{idType: part-uuid, id: {UUID}}}, source: a.efi, destination: /EFI/a.efi}}",
        InjectFile(partition=InjectPartition(id_type="part-uuid", id=UUID), source="a.efi", destination="/EFI/a.efi"),
    ),
    (
        "{partition: {idType: uuid, id: 1234-ABCD}, source: /a.efi, destination: a.efi, type: ukis}",
        InjectFile(
            partition=InjectPartition(id_type="uuid", id="1234-ABCD"), source="/a.efi", destination="a.efi", type="ukis"
        ),
    ),
    (
        "{partition: {idType: part-label, id: 5}, source: a, destination: b, type: anything}",
        InjectFile(
            partition=InjectPartition(id_type="part-label", id="5"), source="a", destination="b", type="anything"
        ),
    ),
    (
        "{partition: {id: a}, source: a, destination: b, type: ''}",
        InjectFile(partition=InjectPartition(id="a"), source="a", destination="b"),
    ),
    (
        "{partition: {idType: '', id: a}, source: a, destination: b}",
        InjectFile(partition=InjectPartition(id="a"), source="a", destination="b"),
    ),
]

N = "injectFiles[0]"
WRONG: list[Wrong] = [
    ("injectFiles: «{}", "injectFiles", "expected a list"),
    ("injectFiles: [«a]", N, "expected a mapping"),
    ("injectFiles: [«{source: a, destination: b}]", N + ".partition", "this key is required and missing"),
    ("injectFiles: [«{partition: {id: a}, destination: b}]", N + ".source", "this key is required and missing"),
    ("injectFiles: [«{partition: {id: a}, source: a}]", N + ".destination", "this key is required and missing"),
    ("injectFiles: [{partition: {id: a}, source: «'', destination: b}]", N + ".source", "the value may not be empty"),
    ("injectFiles: [{partition: {id: a}, source: a, destination: «' '}]", N + ".destination",
        "the value may not be empty"),
    ("injectFiles: [{partition: {id: a}, source: «[a], destination: b}]", N + ".source",
        "expected a single value, found a list"),
    ("injectFiles: [{partition: «esp, source: a, destination: b}]", N + ".partition", "expected a mapping"),
    ("injectFiles: [{partition: «{idType: uuid}, source: a, destination: b}]", N + ".partition.id",
        "this key is required and missing"),
    ("injectFiles: [{partition: {id: «''}, source: a, destination: b}]", N + ".partition.id",
        "the value may not be empty"),
    ("injectFiles: [{partition: {idType: «label, id: a}, source: a, destination: b}]", N + ".partition.idType",
        "'label' is not allowed here: use uuid, part-uuid or part-label"),
    ("injectFiles: [{partition: {id: a}, source: a, «target: b, destination: b}]", N + ".target",
        "unknown key 'target'"),
    ("previewFeatures: [inject-files, «inject]", "previewFeatures[1]", "'inject' is not allowed here"),
    ("«os: {}", "os", "unknown key 'os'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "file"), RIGHT)
def test_files(text: str, file: InjectFile) -> None:
    found = read(f"previewFeatures: [inject-files, uki]\ninjectFiles: [{text}]")
    assert found.problems == ()
    assert found.model == InjectFilesConfig(inject_files=(file,), preview_features=("inject-files", "uki"))


@pytest.mark.parametrize("text", ["{}", "injectFiles:", "injectFiles: []\npreviewFeatures: []"])
def test_no_files(text: str) -> None:
    assert read(text).model == InjectFilesConfig()


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(text: str, key: str, message: str) -> None:
    assert_one_problem(read(unmarked(text)).problems, text, key, message)


def test_every_file_is_looked_at() -> None:
    text = "injectFiles:\n- {partition: {id: a}, source: a}\n- {partition: {}, source: '', destination: b}\n"
    assert sorted((problem.line, problem.key) for problem in read(text).problems) == [
        (2, N + ".destination"),
        (3, "injectFiles[1].partition.id"),
        (3, "injectFiles[1].source"),
    ]
