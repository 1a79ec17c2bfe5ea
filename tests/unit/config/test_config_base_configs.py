"""How `baseConfigs` is written; what it does is tested with chains."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, unmarked

from twinroot.config.load import load_image_config

FEATURES = "previewFeatures: [base-configs]\n"

WRONG: list[Wrong] = [
    ("baseConfigs: «a.yaml", "baseConfigs", "expected a list"),
    ("baseConfigs: «{path: a.yaml}", "baseConfigs", "expected a list"),
    ("baseConfigs: [«a.yaml]", "baseConfigs[0]", "expected a mapping"),
    ("baseConfigs: [«~]", "baseConfigs[0]", "expected a mapping"),
    ("baseConfigs: [«{}]", "baseConfigs[0].path", "this key is required and missing"),
    ("baseConfigs: [{path: «''}]", "baseConfigs[0].path", "the value may not be empty"),
    ("baseConfigs: [{path: «' \t '}]", "baseConfigs[0].path", "the value may not be empty"),
    ("baseConfigs: [{path: «[a.yaml]}]", "baseConfigs[0].path", "expected a single value, found a list"),
    ("baseConfigs: [{path: «absent.yaml}]", "baseConfigs[0].path", "base configuration "),
]


@pytest.mark.parametrize("text", ["baseConfigs:", "baseConfigs: []"])
def test_no_bases(config_of: ConfigOf, text: str) -> None:
    assert config_of(FEATURES + text).preview_features == ("base-configs",)


def test_bases_in_their_order(tmp_path: Path) -> None:
    for name in ("a.yaml", "b c.yaml"):
        (tmp_path / name).write_text("{}")
    path = tmp_path / "config.yaml"
    path.write_text(f"{FEATURES}baseConfigs: [{{path: ./a.yaml}}, {{path: {tmp_path}/b c.yaml}}]")
    last = load_image_config(path).files[-1]
    assert [base.path for base in last.config.base_configs or ()] == ["./a.yaml", f"{tmp_path}/b c.yaml"]


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    text = FEATURES + text
    assert_one_problem(problems_of(unmarked(text)), text, key, message)
