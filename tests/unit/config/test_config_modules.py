"""`os.modules`."""

from __future__ import annotations

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, os_of, unmarked

from twinroot.config.image.modules import Module

RIGHT: list[tuple[str, Module]] = [
    ("{name: nbd}", Module(name="nbd")),
    ("{name: 8021q}", Module(name="8021q")),
    ("{name: snd-hda_intel}", Module(name="snd-hda_intel")),
    ("{name: net-pf-10}", Module(name="net-pf-10")),
    ("{name: 'devname:loop-control'}", Module(name="devname:loop-control")),
    ("{name: nbd, loadMode: , options: }", Module(name="nbd")),
    ("{name: nbd, loadMode: ''}", Module(name="nbd")),
    ("{name: nbd, loadMode: always}", Module(name="nbd", load_mode="always")),
    ("{name: nbd, loadMode: auto}", Module(name="nbd", load_mode="auto")),
    ("{name: nbd, loadMode: disable}", Module(name="nbd", load_mode="disable")),
    ("{name: nbd, loadMode: disable, options: {}}", Module(name="nbd", load_mode="disable")),
    ("{name: nbd, loadMode: inherit}", Module(name="nbd", load_mode="inherit")),
    ("{name: nbd, options: {a: 1, b: 0x10, c: yes, 5: d}}",
        Module(name="nbd", options={"a": "1", "b": "0x10", "c": "yes", "5": "d"})),
]  # fmt: skip

M = "os.modules[0]"
WRONG: list[Wrong] = [
    ("os: {modules: «{name: a}}", "os.modules", "expected a list"),
    ("os: {modules: [«nbd]}", M, "expected a mapping"),
    ("os: {modules: [«{}]}", M + ".name", "this key is required and missing"),
    ("os: {modules: [{name: «''}]}", M + ".name", "the value may not be empty"),
    ("os: {modules: [{name: «'a b'}]}", M + ".name", "'a b' may not contain spaces and line breaks"),
    ("os: {modules: [{name: «\"a\\n\"}]}", M + ".name", r"'a\n' may not contain spaces and line breaks"),
    *[(f"os: {{modules: [{{name: «'{name}'}}]}}", M + ".name", f"'{name}' is not the name of a kernel module")
        for name in ("../../x", "..", ".", "a/b", "/a", "-a", "#a", ";a", "a#", "a*", 'a"b', "ä")],
    ("os: {modules: [{name: a, loadMode: «Always}]}", M + ".loadMode",
        "'Always' is not allowed here: use always, auto, disable or inherit"),
    ("os: {modules: [{name: a, loadMode: «[]}]}", M + ".loadMode", "expected a single value, found a list"),
    ("os: {modules: [{name: a, options: «[b]}]}", M + ".options", "expected a mapping"),
    ("os: {modules: [{name: a, options: «b=c}]}", M + ".options", "expected a mapping"),
    ("os: {modules: [{name: a, options: {«'': b}}]}", M + ".options.''", "the value may not be empty"),
    ("os: {modules: [{name: a, options: {«'b c': d}}]}", M + ".options.'b c'",
        "'b c' may not contain spaces and line breaks"),
    ("os: {modules: [{name: a, options: {b: «''}}]}", M + ".options.b", "the value may not be empty"),
    ("os: {modules: [{name: a, options: {b: «~}}]}", M + ".options.b", "the value may not be empty"),
    ("os: {modules: [{name: a, options: {b: «'c d'}}]}", M + ".options.b",
        "'c d' may not contain spaces and line breaks"),
    ("os: {modules: [{name: a, options: {b: «\"c\\nd\"}}]}", M + ".options.b",
        r"'c\nd' may not contain spaces and line breaks"),
    ("os: {modules: [{name: a, options: {b: «[c]}}]}", M + ".options.b", "expected a single value, found a list"),
    ("os: {modules: [{name: a, loadMode: disable, options: «{b: c}}]}", M + ".options",
        "a module with loadMode disable may not have options"),
    ("os: {modules: [{name: a}, {name: b}, {name: «a, loadMode: auto}]}", "os.modules[2].name",
        "the module 'a' is already described in modules[0]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "module"), RIGHT)
def test_modules(config_of: ConfigOf, text: str, module: Module) -> None:
    assert os_of(config_of(f"os: {{modules: [{text}]}}")).modules == (module,)


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    assert_one_problem(problems_of(unmarked(text)), text, key, message)


def test_every_module_is_looked_at(problems_of: ProblemsOf) -> None:
    text = "os:\n  modules:\n  - {name: a, loadMode: on}\n  - {name: b, options: {c: '', ' ': d}}\n  - {name: ' '}\n"
    assert [(problem.line, problem.key) for problem in problems_of(text)] == [
        (3, "os.modules[0].loadMode"),
        (4, "os.modules[1].options.c"),
        (4, "os.modules[1].options.' '"),
        (5, "os.modules[2].name"),
    ]
