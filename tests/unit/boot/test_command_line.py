"""Kernel command lines in /etc/default/grub, judged by the shell that reads the file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from twinroot.boot.command_line import (
    append_to_default_grub,
    in_double_quotes,
    join_arguments,
    replace_in_default_grub,
    words_of,
)
from twinroot.boot.grub_script import kernel_lines
from twinroot.errors import InputError

NAME = "GRUB_CMDLINE_LINUX_DEFAULT"


def value_of(text: str, name: str = NAME) -> str:
    """The value of a variable after a real shell has read the file."""
    script = f'{text}\nprintf %s "${name}"'
    result = subprocess.run(["/bin/sh", "-ec", script], capture_output=True, text=True, check=True)
    return result.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ""),
        (["quiet"], "quiet"),
        (["a", "b=c", "d=e,f"], "a b=c d=e,f"),
        (["name=two words"], 'name="two words"'),
        (["two words"], '"two words"'),
        (["tab=a\tb"], 'tab="a\tb"'),
        (['already="two words"'], 'already="two words"'),
        (["module.dyndbg=file a.c +p; file b.c +p"], 'module.dyndbg="file a.c +p; file b.c +p"'),
        (["a b=c"], '"a b=c"'),
        (["empty="], "empty="),
        (["a=b;c"], 'a="b;c"'),
        (["a=b|c&d<e>f"], 'a="b|c&d<e>f"'),
        (["a={b}"], 'a="{b}"'),
        (["a&b=c"], '"a&b=c"'),
        (["#a"], '"#a"'),
        (["a#b=*?[x]!(y)`z`"], "a#b=*?[x]!(y)`z`"),
        (["$kernelopts"], "$kernelopts"),
    ],
)
def test_arguments_are_joined_as_the_kernel_reads_them(arguments: list[str], expected: str) -> None:
    assert join_arguments(arguments) == expected


@pytest.mark.parametrize(
    "text", ["", "plain", 'a "b" c', "back\\slash", "$HOME `id` $(id)", "it's", "#no comment", "!x"]
)
def test_double_quotes_keep_every_character(text: str) -> None:
    assert value_of(f"{NAME}={in_double_quotes(text)}") == text


@pytest.mark.skipif(shutil.which("grub-script-check") is None, reason="grub-script-check is not installed")
@pytest.mark.parametrize(
    "argument",
    [
        "a=b;c",
        "a=b|c",
        "a=b&c",
        "a=<b>",
        "a={b}",
        "#a",
        "a#b",
        "a=`b`",
        "a=*",
        "a=?[b]",
        "a=(b)",
        "!",
        "a=b c;d",
        "if=~%@^,+",
    ],
)
def test_what_is_odd_stays_one_word_in_the_shell_and_in_grub(argument: str, tmp_path: Path) -> None:
    """grub itself was asked in the same way, by `echo` in grub-emu 2.06."""
    line = value_of(append_to_default_grub("", [argument]))
    script = tmp_path / "grub.cfg"
    script.write_text(f"linux /vmlinuz before {line} behind\n")
    subprocess.run(["grub-script-check", script], check=True)
    (found,) = kernel_lines(script.read_text())
    assert [word.value for word in found.arguments] == ["before", argument, "behind"]
    assert words_of(line) == [argument]


TABLE = [
    ('"quiet"', ["new"], "quiet new"),
    ('""', ["new"], "new"),
    ("", ["new"], "new"),
    ("quiet", ["new"], "quiet new"),
    ("'quiet splash'", ["new"], "quiet splash new"),
    ("'$kernelopts'", ["new"], "new $kernelopts"),
    ('"\\$kernelopts"', ["new"], "new $kernelopts"),
    ('"$kernelopts"', ["new"], "new $kernelopts"),
    ('"  quiet \\$kernelopts  "', ["new"], "quiet new $kernelopts"),
    ('"a \\$kernelopts b"', ["new"], "a new $kernelopts b"),
    ('"quiet my$kernelopts"', ["new"], "quiet my new"),
    ('"quiet" # a comment', ["new"], "quiet new"),
    ('"quiet" # a "quoted" comment', ["new"], "quiet new"),
    ("quiet # it's a comment", ["new"], "quiet new"),
    ('"name=\\"two  words\\""', ["new"], 'name="two  words" new'),
    ('"keep  the  spaces"', ["new"], "keep  the  spaces new"),
    ('"quiet"', ["name=two words", "b=$x`y`", "c=a\\b"], 'quiet name="two words" b=$x`y` c=a\\b'),
    ('"$GRUB_OTHER quiet"', ["new"], "other quiet new"),
    ('"${GRUB_OTHER:-x} quiet"', ["new"], "other quiet new"),
    ('"quiet \\$literal"', ["new"], "quiet $literal new"),
    ("plain\\ word", ["new"], "plain word new"),
]


@pytest.mark.parametrize(("value", "arguments", "expected"), TABLE)
def test_append_as_the_shell_sees_it(value: str, arguments: list[str], expected: str) -> None:
    before, behind = "# Ünïcode \udcff\nGRUB_OTHER=other\nGRUB_TIMEOUT=5", 'GRUB_DISTRIBUTOR=`echo "x"`\n'
    text = append_to_default_grub(f"{before}\n{NAME}={value}\n{behind}", arguments)
    assert text.startswith(before + "\n") and text.endswith("\n" + behind)
    assert text.count(NAME) == 1
    lines = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    assert value_of(lines).strip() == expected


@pytest.mark.parametrize(
    "value", ['"quiet \\', '"a" "b"', '"a"b"c"', "a b", "`cat /x`", "'unclosed", "a;b", "'a'b", '"a"#b', "a\\"]
)
def test_what_cannot_be_edited_is_said(value: str) -> None:
    with pytest.raises(InputError, match="cannot be edited"):
        append_to_default_grub(f"{NAME}={value}\n", ["new"])


def test_no_arguments_change_nothing() -> None:
    text = f"{NAME}=`odd`"
    assert append_to_default_grub(text, []) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", f'{NAME}="new"\n'),
        ("# only a comment", f'# only a comment\n{NAME}="new"\n'),
        ("A=1", f'A=1\n{NAME}="new"\n'),
        ("A=1\n\n# end\n", f'A=1\n{NAME}="new"\n\n# end\n'),
        ("A=1\n#B=2\n. /x\n", f'A=1\n{NAME}="new"\n#B=2\n. /x\n'),
        ("A=1\nif true; then\n  B=2\nfi\n", f'A=1\n{NAME}="new"\nif true; then\n  B=2\nfi\n'),
        ('A=1\nB="two\nlines"\n', f'A=1\n{NAME}="new"\nB="two\nlines"\n'),
        (f"#{NAME}=x\nA=1\n", f'#{NAME}=x\nA=1\n{NAME}="new"\n'),
        (f"{NAME}_XEN=x\n", f'{NAME}_XEN=x\n{NAME}="new"\n'),
        (f"{NAME}=first\n{NAME}=last\n", f'{NAME}=first\n{NAME}="last new"\n'),
        (f"export {NAME}=x # c\n", f'export {NAME}="x new" # c\n'),
        (f"  {NAME}='x'", f'  {NAME}="x new"\n'),
    ],
)
def test_where_the_line_is_and_what_stays(text: str, expected: str) -> None:
    assert append_to_default_grub(text, ["new"]) == expected


def test_appending_twice_appends_twice() -> None:
    text = append_to_default_grub(append_to_default_grub("A=1\n", ["a b", "$kernelopts"]), ["c"])
    assert value_of(text) == '"a b" c $kernelopts'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  a\tb  ", ["a", "b"]),
        ('a="b c" d', ["a=b c", "d"]),
        ('"a b=c" d', ["a b=c", "d"]),
        ('x"y z" "open end', ['x"y z"', "open end"]),
        ('a="b" c', ["a=b", "c"]),
    ],
)
def test_words_are_those_of_the_kernel(line: str, words: list[str]) -> None:
    assert words_of(line) == words


OTHER = "GRUB_CMDLINE_LINUX"
NAMES = ["security", "selinux"]


@pytest.mark.parametrize(
    ("line", "default", "arguments", "expected"),
    [
        ('"a b"', '"c"', ["selinux=0"], ("a b selinux=0", "c")),
        ('"security=s selinux=1 a"', '"b selinux=1 $kernelopts"', ["selinux=0"], ("selinux=0 a", "b $kernelopts")),
        ('"a \\$kernelopts"', '""', ["selinux=0"], ("a selinux=0 $kernelopts", "")),
        ('"x=\\"selinux=1 y\\" selinux=1"', "''", [], ('x="selinux=1 y"', "")),
        ("selinux=1", "selinux=1", ["security=s", "selinux=1"], ("security=s selinux=1", "")),
        ('"${X} selinux=1"', '""', ["selinux=0"], ("one selinux=0", "")),
    ],
)
def test_replace_as_the_shell_sees_it(line: str, default: str, arguments: list[str], expected: tuple[str, str]) -> None:
    text = replace_in_default_grub(f"X=one\n{OTHER}={line}\n{NAME}={default}\n", NAMES, arguments)
    assert (value_of(text, OTHER), value_of(text)) == expected


def test_replace_where_no_variable_is() -> None:
    assert replace_in_default_grub("A=1\n", NAMES, []) == "A=1\n"
    assert replace_in_default_grub("A=1\n", NAMES, ["selinux=0"]) == f'A=1\n{OTHER}="selinux=0"\n'
    with pytest.raises(InputError, match=f"sets {OTHER} in a way"):
        replace_in_default_grub(f"{OTHER}=`x`\n", NAMES, [])
