"""Whatever is written as a host configuration: nothing but ConfigError is raised, and every problem has its place."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.config.host.texts import FULL
from tests.unit.config.test_config_properties import JUNK, texts_of_model

from twinroot.config.host.config import HostConfig
from twinroot.config.host.normal import normal, to_yaml
from twinroot.config.load_host import parse_host_config
from twinroot.errors import ConfigError


def load(text: str) -> None:
    """Load a text. What is right is written and read again as the same."""
    try:
        loaded = parse_host_config(text, "f.yaml")
    except ConfigError as error:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for problem in error.problems:
            assert str(problem).startswith("f.yaml:")
            assert not problem.line or 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        return
    assert parse_host_config(to_yaml(normal(loaded.config)), "g.yaml").config == loaded.config


@given(st.data())
def test_no_damage_to_lines_raises_anything_else(data: st.DataObject) -> None:
    lines = FULL.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        kept = data.draw(st.integers(0, len(lines[at])))
        way = data.draw(st.sampled_from(["cut", "insert", "delete", "twice", "indent"]))
        if way == "cut":
            lines[at] = lines[at][:kept] + data.draw(st.sampled_from(JUNK))
        elif way == "insert":
            lines[at] = lines[at][:kept] + data.draw(st.sampled_from(JUNK)) + lines[at][kept:]
        elif way == "delete" and len(lines) > 1:
            del lines[at]
        elif way == "twice":
            lines.insert(at, lines[at])
        else:
            lines[at] = data.draw(st.sampled_from(["", " ", "  ", "    "])) + lines[at].lstrip()
    load("\n".join(lines))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large])
@given(st.data())
def test_no_structure_of_known_keys_raises_anything_else(data: st.DataObject) -> None:
    text = data.draw(texts_of_model(HostConfig))
    for damage in data.draw(st.lists(st.integers(0, max(len(text) - 1, 0)), max_size=2)):
        text = text[:damage] + data.draw(st.sampled_from(JUNK)) + text[damage:]
    load(text)
