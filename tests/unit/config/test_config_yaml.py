from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinroot.config.document import Items, Mapping, Node, Scalar
from twinroot.config.yaml import MAX_BYTES, parse, read_document
from twinroot.errors import ConfigError, Problem


def plain(node: Node) -> object:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.values.items()}


def problems(data: bytes) -> tuple[Problem, ...]:
    try:
        return parse(data, "f.yaml").mistakes
    except ConfigError as error:
        return error.problems


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("version: 3.0", {"version": "3.0"}),
        ("permissions: 0644", {"permissions": "0644"}),
        ("when: 2025-10-28", {"when": "2025-10-28"}),
        ("a: yes\nb: 'no'\nc: 0x10", {"a": "yes", "b": "no", "c": "0x10"}),
        (
            "a:\nb: ~\nc: null\nd: NULL\ne: ''\nf: 'null'",
            {"a": None, "b": None, "c": None, "d": None, "e": "", "f": "null"},
        ),
        ("a: !!str\nb: !!str 5\nc: ! null", {"a": "", "b": "5", "c": "null"}),
        ('{"json": [1, true, null, "x"]}', {"json": ["1", "true", None, "x"]}),
        ("{}", {}),
        ("a: 1\n---\na: 2\n--- [\n", {"a": "1"}),
        ("a: 1\n...\nanything: [", {"a": "1"}),
        ("\ufeffa: 1", {"a": "1"}),
        ("a: &x [1, 2]\nb: *x", {"a": ["1", "2"], "b": ["1", "2"]}),
        ("a: &x 1\nb: &x 2\nc: *x", {"a": "1", "b": "2", "c": "2"}),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", {"a": {"p": "1", "q": "2"}, "b": {"q": "3", "p": "1"}}),
        ("a: {<<: [&x {p: 1}, &y {p: 2, q: 2}]}", {"a": {"p": "1", "q": "2"}}),
        ("'<<': text", {"<<": "text"}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
    ],
)
def test_what_is_read(text: str, tree: object) -> None:
    """Marks of further documents do no harm; see below for what is said of them."""
    document = parse(text.encode(), "f.yaml")
    assert document.mistakes == ()
    assert plain(document.root) == tree


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("a: 1", []),
        ("---\na: 1\n", []),
        ("a: 1\n---\n", []),
        ("a: 1\n...\n", []),
        ("a: 1\n---\n# nothing\n---\n...\n", []),
        ("a: 1\n---\na: 2\n---\na: 3\n", [(2, 1)]),
        ("a: 1\n\n---\n---\na: 2\n", [(4, 1)]),
        ("a: 1\n--- ''\n", [(2, 1)]),
        ("a: 1\n--- [\n", [(2, 1)]),
        ("a: 1\n...\nanything: [", [(3, 1)]),
        ("a: 1\n...\n%YAML 1.2\n---\na: 2\n", [(3, 1)]),
        ("a: 1\n--- {password: hunter2}", [(2, 1)]),
        ("a: 1\n" + "---\n" * 10_000, []),
    ],
)
def test_documents_that_are_ignored(text: str, places: list[tuple[int, int]]) -> None:
    warnings = parse(text.encode(), "f.yaml").warnings
    assert [(warning.line, warning.column) for warning in warnings] == places
    assert all("another YAML document begins here" in warning.message for warning in warnings)
    assert all("hunter2" not in str(warning) and warning.text is None for warning in warnings)


@pytest.mark.parametrize(
    ("data", "line", "column", "message"),
    [
        (b"", 0, 0, "the file is empty"),
        (b"# nothing\n", 0, 0, "the file is empty"),
        (b"---\n", 0, 0, "the file is empty"),
        (b"a: 1\nb: 2\na: 3\n", 3, 1, "the key 'a' is given twice"),
        (b"x:\n  - {a: 1, b: 2, a: 3}\n", 2, 18, "the key 'a' is given twice"),
        (b"a: [1\nb: 2\n", 2, 2, "this is not valid YAML"),
        (b"a:\n\t- b\n", 2, 1, "this is not valid YAML"),
        (b"{}\nmore\n", 2, 1, "this is not valid YAML"),
        (b"a: *x\n", 1, 4, "there is no anchor &x"),
        (b"a: &x [1, *x]\n", 1, 11, "the alias *x stands inside the value"),
        (b"<<: 5\n", 1, 1, "the merge key << wants a mapping"),
        (b"? [a]\n: 5\n", 1, 3, "a key must be"),
        (b"a: !custom 5\n", 1, 4, "the YAML tag '!custom' is not supported"),
        (b"a: !!binary aGk=\n", 1, 4, "the YAML tag 'tag:yaml.org,2002:binary' is not supported"),
        (b'a: "x\\0y"\n', 1, 4, "the value contains a NUL character"),
        (b"a: b\nc: \x07\n", 2, 4, "this character is not allowed"),
        ("ä: ö\nc: \x07\n".encode(), 2, 4, "this character is not allowed"),
        (b"a: b\nc: \xff\n", 2, 4, "the file is not UTF-8 text: byte 0xff"),
        ("a: b\n".encode("utf-16"), 1, 1, "the file is not UTF-8 text"),
        (b"[" * 65, 1, 65, "the file is nested more than 64 levels deep"),
        (b"[" * 100_000, 1, 65, "the file is nested more than 64 levels deep"),
        (
            b"a0: &a0 x\n" + b"".join(b"a%d: &a%d [*a%d]\n" % (i, i, i - 1) for i in range(1, 70)),
            64,
            12,
            "the file is nested",
        ),
        (
            b"a: &a {" + b",".join(b"k%d: 1" % i for i in range(999)) + b"}\nb:\n" + b"- {<<: *a}\n" * 999,
            21,
            8,
            "the file holds",
        ),
        (b"%TAG !a! x\n" * 20 + b"--- 5\n", 0, 0, "there are too many %TAG directives"),
        (b"#" * (MAX_BYTES + 1), 0, 0, "the file is larger than 16 MiB"),
    ],
)
def test_what_is_rejected(data: bytes, line: int, column: int, message: str) -> None:
    first = problems(data)[0]
    assert (first.line, first.column) == (line, column)
    assert first.message.startswith(message)
    assert first.file == "f.yaml"


def test_an_alias_bomb_is_an_ordinary_error() -> None:
    rows = [b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [b"a%d: &a%d [%s]" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 30)]
    (problem,) = problems(b"\n".join(rows))
    assert "counting each use of an alias" in problem.message


def test_a_key_given_twice_names_the_first_place_and_does_not_hide_another() -> None:
    first, second = problems(b"a: 1\nb: 1\na: 2\nb: 2\n")
    assert first.hint == "it is first given at line 1, column 1"
    assert second.hint == "it is first given at line 2, column 1"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("head", ["a: 1", "# 𝄞 ä", "'𝄞': x", "# \u2028 \x85"])
def test_places_count_characters_and_lines_as_editors_do(head: str, line_end: str) -> None:
    document = parse(f"{head}{line_end}{line_end}k:  [𝄞, value]{line_end}".encode(), "f.yaml")
    problem = document.problem(("k", 1), "wrong")
    assert (problem.line, problem.column, problem.text) == (3, 9, "k:  [𝄞, value]")


def test_a_very_long_line_is_not_repeated() -> None:
    document = parse(b"k: " + b"x" * 1000, "f.yaml")
    assert document.problem(("k",), "wrong").text is None


def test_values_that_came_through_an_alias_point_at_the_anchor() -> None:
    document = parse(b"a: &x\n  k: 1\nb: *x\nc:\n  <<: *x\n", "f.yaml")
    assert document.problem(("b", "k"), "wrong").line == 2
    assert document.problem(("c", "k"), "wrong").line == 2
    assert document.problem_with_key(("c", "k"), "wrong").column == 3


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path, message in (
        (tmp_path / "absent.yaml", "there is no such file"),
        (tmp_path, "this is a directory, a YAML file is wanted"),
        (tmp_path / "nul\0name", "the file cannot be read"),
        (loop, "the file cannot be read: Too many levels of symbolic links"),
        (Path("/dev/zero"), "the file is larger than 16 MiB"),
    ):
        with pytest.raises(ConfigError) as caught:
            read_document(path)
        assert caught.value.problems[0].message.startswith(message)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    assert all(problem.message for problem in problems(data))


@given(st.text(alphabet="ab:-{}[]&*!|>'\"%#?,<~\\x0 \n\t\r\ufeff\u2028é", max_size=60))
def test_no_text_of_yaml_characters_raises_anything_else(text: str) -> None:
    for problem in problems(text.encode()):
        assert problem.line <= len(text) + 1


def test_mappings_keep_their_order() -> None:
    root = parse(b"b: 1\na: 2\n", "f.yaml").root
    assert isinstance(root, Mapping)
    assert list(root.values) == ["b", "a"]
