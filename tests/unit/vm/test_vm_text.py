"""Cleaning what a serial line carries."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twinroot.vm.text import clean, without_chatter


@pytest.mark.parametrize(
    ("received", "text", "rest"),
    [
        ("plain\r\n", "plain\n", ""),
        ("two returns\r\r\nnext", "two returns\nnext", ""),
        ("10%\r20%\r\n", "10%\n20%\n", ""),
        ("\x1b[0;32m  OK  \x1b[0m", "  OK  ", ""),
        ("\x1b[2J\x1b[01;01Hfirst\x1b[07;01Hsecond", "\nfirst\nsecond", ""),
        ("\x1b[?2004h# ", "# ", ""),
        ("\x1b]0;root@host: ~\x07# ", "# ", ""),
        ("\x1b]3008;start=1\x1b\\login: ", "login: ", ""),
        ("\x1b(B\x1b=\x1bcx", "x", ""),
        ("bell\x07 back\x08space\x00\ttab", "bell backspace\ttab", ""),
        ("cut in the escape \x1b[0;3", "cut in the escape ", "\x1b[0;3"),
        ("cut at its start \x1b", "cut at its start ", "\x1b"),
        ("cut in a title \x1b]0;ro", "cut in a title ", "\x1b]0;ro"),
        ("cut at the line's end\r", "cut at the line's end", "\r"),
    ],
)
def test_clean(received: str, text: str, rest: str) -> None:
    assert clean(received) == (text, rest)


def test_a_title_that_never_ends_is_let_go() -> None:
    received = "\x1b]" + "x" * 5000
    assert clean(received)[1] == ""


@example(["\r", "\x1b]0;t", "\x07", "\r", "a"])
@given(st.lists(st.sampled_from(["a", "\r", "\n", "\x1b[", "\x1b]0;t", "\x07", "1;2", "m", "H", "\x1b", "\\", "(B"])))
def test_the_borders_of_packets_do_not_show(pieces: list[str]) -> None:
    text, rest = "", ""
    for piece in pieces:
        part, rest = clean(rest + piece)
        text += part
    whole = clean("".join(pieces))
    assert (text, rest) == whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("QUJD[   12.345678] usb 1-1: new device\nREVG\n", "QUJDREVG\n"),
        ("QUJD[    1.000001][    T1] with the caller\nREVG\n", "QUJDREVG\n"),
        ("QUJD\n[  OK  ] Started cron.service - Cron.\nREVG\n", "QUJD\nREVG\n"),
        ("QUJD\n[FAILED] Failed to start x.\n         Starting y...\nREVG\n", "QUJD\nREVG\n"),
        ("[12] is no kernel message\n", "[12] is no kernel message\n"),
    ],
)
def test_without_chatter(text: str, expected: str) -> None:
    assert without_chatter(text) == expected
