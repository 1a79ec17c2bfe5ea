"""`scripts`."""

from __future__ import annotations

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, unmarked

from twinroot.config.image.scripts import Script, Scripts

LISTS = ("postCustomization", "finalizeCustomization")

RIGHT: list[tuple[str, Script]] = [
    ("{path: a.sh}", Script(path="a.sh")),
    ("{path: a/../b.sh}", Script(path="a/../b.sh")),
    ("{path: ./..a/b c.sh}", Script(path="./..a/b c.sh")),
    ("{content: a}", Script(content="a")),
    ("{content: \"a\\nb\\n\"}", Script(content="a\nb\n")),
    ("{content: ' '}", Script(content=" ")),
    ("{path: '', content: a}", Script(content="a")),
    ("{path: a, content: ''}", Script(path="a")),
    ("{path: a, content: }", Script(path="a")),
    ("{path: a, interpreter: '', arguments: , environmentVariables: , name: ''}", Script(path="a")),
    ("{path: a, arguments: ['', 1, 'b c', -x]}", Script(path="a", arguments=("", "1", "b c", "-x"))),
    ("{path: a, environmentVariables: {A: 1, B: '', C: , D: yes, E: 'f=g'}}",
        Script(path="a", environment_variables={"A": "1", "B": "", "C": "", "D": "yes", "E": "f=g"})),
    ("{content: a, interpreter: /usr/bin/python3, name: Set up}",
        Script(content="a", interpreter="/usr/bin/python3", name="Set up")),
    ("{path: a, sha256hash: 00}", Script(path="a", sha256hash="00")),
]  # fmt: skip

# `LIST` stands for either list.
S = "scripts.LIST[0]"
WRONG: list[Wrong] = [
    ("scripts: {LIST: «{path: a}}", "scripts.LIST", "expected a list"),
    ("scripts: {LIST: [«a.sh]}", S, "expected a mapping"),
    ("scripts: {LIST: [«{}]}", S, "a script needs either 'path' or 'content'"),
    ("scripts: {LIST: [{path: a}, «{path: '', content: ''}]}", "scripts.LIST[1]",
        "a script needs either 'path' or 'content'"),
    ("scripts: {LIST: [{path: a}, {path: b, content: «c}]}", "scripts.LIST[1].content",
        "'path' and 'content' may not be given together"),
    ("scripts: {LIST: [{path: «/a.sh}]}", S + ".path", "the path '/a.sh' leads out of the directory"),
    ("scripts: {LIST: [{path: «..}]}", S + ".path", "the path '..' leads out of the directory"),
    ("scripts: {LIST: [{path: «../a.sh}]}", S + ".path", "the path '../a.sh' leads out of the directory"),
    ("scripts: {LIST: [{path: «a/../../b.sh}]}", S + ".path", "the path 'a/../../b.sh' leads out of the directory"),
    ("scripts: {LIST: [{path: «[a]}]}", S + ".path", "expected a single value, found a list"),
    ("scripts: {LIST: [{path: a, arguments: «b}]}", S + ".arguments", "expected a list"),
    ("scripts: {LIST: [{path: a, arguments: [b, «~]}]}", S + ".arguments[1]",
        "expected a single value, found nothing"),
    ("scripts: {LIST: [{path: a, environmentVariables: «[A=b]}]}", S + ".environmentVariables", "expected a mapping"),
    ("scripts: {LIST: [{path: a, environmentVariables: {A: «[b]}}]}", S + ".environmentVariables.A",
        "expected a single value, found a list"),
    ("scripts: {LIST: [{path: a, environmentVariables: {«'': b}}]}", S + ".environmentVariables.''",
        "'' is not a name of an environment variable"),
    ("scripts: {LIST: [{path: a, environmentVariables: {«A=b: c}}]}", S + ".environmentVariables.'A=b'",
        "'A=b' is not a name of an environment variable"),
    ("scripts: {LIST: [{path: a, «args: [b]}]}", S + ".args", "unknown key 'args'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "script"), RIGHT)
def test_scripts(config_of: ConfigOf, text: str, script: Script) -> None:
    config = config_of(f"scripts: {{postCustomization: [{text}], finalizeCustomization: [{text}, {text}]}}")
    assert config.scripts == Scripts(post_customization=(script,), finalize_customization=(script, script))


@pytest.mark.parametrize("which", LISTS)
@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str, which: str) -> None:
    text = text.replace("LIST", which)
    assert_one_problem(problems_of(unmarked(text)), text, key.replace("LIST", which), message)


def test_there_are_two_lists(problems_of: ProblemsOf) -> None:
    text = "scripts: {«preCustomization: []}"
    assert_one_problem(problems_of(unmarked(text)), text, "scripts.preCustomization", "unknown key")
