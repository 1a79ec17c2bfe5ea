"""The protocol for commands over a console that others write to."""

from __future__ import annotations

import base64
import hashlib
import subprocess

import pytest

from twinroot.vm.exchange import CommandOutput, DamagedError, acknowledged, parse, probe, script_lines

TAG = "0123abcd"


def answer(output: bytes, code: int, tag: str = TAG) -> str:
    body = base64.encodebytes(output + b"\n%d" % code).decode().strip()
    digest = hashlib.sha256(body.replace("\n", "").encode()).hexdigest()
    return f"\n<<{tag}\n{body}\n{digest}  -\n>>{tag}\n>>{tag}\n"


@pytest.mark.parametrize(
    ("output", "code"),
    [(b"", 0), (b"hello\n", 0), (b"no line end", 3), (b"\n\n", 127), ("Grüße\n".encode(), 0), (b"x" * 9999, 255)],
)
def test_an_answer_comes_back(output: bytes, code: int) -> None:
    assert parse("echo of the command\n" + answer(output, code) + "# ", TAG) == CommandOutput(code, output.decode())


def test_bytes_that_are_no_text_survive() -> None:
    result = parse(answer(b"\xff\x00\n", 0), TAG)
    assert result is not None
    assert result.output.encode("utf-8", "surrogateescape") == b"\xff\x00\n"


def test_kernel_messages_anywhere_do_no_harm() -> None:
    text = answer(b"some output that is long enough for two lines of base64, or even for three of them\n", 0)
    expected = parse(text, TAG)
    for place in range(len(text) - len(f">>{TAG}\n")):
        assert parse(f"{text[:place]}[   12.345678] chatter\n{text[place:]}", TAG) == expected


def test_half_an_answer_is_none_yet() -> None:
    text = answer(b"some output", 0)
    first_end = text.index(f">>{TAG}\n") + len(f">>{TAG}\n")
    for end in range(first_end):
        assert parse(text[:end], TAG) is None


def test_an_answer_for_another_command_is_not_ours() -> None:
    assert parse(answer(b"other", 0, tag="ffff0000"), TAG) is None


@pytest.mark.parametrize("place", ["<<", "c29t", ">>"])
def test_other_text_in_an_answer_is_noticed(place: str) -> None:
    text = answer(b"some output", 0)
    at = text.index(place) + 1
    with pytest.raises(DamagedError):
        parse(f"{text[:at]}a daemon says hello\n{text[at:]}", TAG)


def test_what_is_typed_fits_on_a_terminal_line_and_is_not_taken_for_the_answer() -> None:
    lines = script_lines("printf '%s' \"a!b\"\t'c'\n" * 500, TAG)
    assert len(lines) > 10
    assert all(len(line) < 1000 and line.isprintable() for line in lines)
    assert parse("\n".join(lines), TAG) is None


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_probe_is_answered_however_much_of_the_one_before_was_lost(shell: str) -> None:
    """A login throws away what was typed before it asked for a password."""
    lost, whole = probe(TAG, 0), probe(TAG, 1)
    for cut in range(len(lost)):
        typed = f"{lost[cut:]}\n {whole}\n"
        shown = subprocess.run([shell], input=typed, capture_output=True, text=True, check=False).stdout
        assert acknowledged(TAG, 1) in shown.splitlines(), typed
    assert acknowledged(TAG, 1) not in typed
