"""grub.cfg: which lines load kernels, and how their arguments are edited."""

from __future__ import annotations

import pytest

from twinroot.boot.grub_script import (
    append_arguments,
    default_options,
    edit_default_options,
    kernel_lines,
    replace_arguments,
    uses_entry_files,
)

# A grub.cfg that grub-mkconfig did not write, as Azure Linux 2 has it, with a second kernel and a rescue entry.
STATIC = """\
set timeout=0
set bootprefix=/boot
search -n -u 1111 -s
load_env -f $bootprefix/grubenv   # linux in a comment
if [ -f $bootprefix/systemd.cfg ]; then
	load_env -f $bootprefix/systemd.cfg
else
	set systemd_cmdline=net.ifnames=0
fi
menuentry "Azure Linux" {
	linux $bootprefix/$mariner_linux security=selinux selinux=1 root=PARTUUID=1 'single quoted'  x="a b" $kernelopts
	if [ -f $bootprefix/$mariner_initrd ]; then
		initrd $bootprefix/$mariner_initrd
	fi
}
submenu 'More' {
  menuentry 'Second; {odd}' --class x { echo hello; linux /vmlinuz-2 \\
      root=PARTUUID=1 selinux=0
  }
  menuentry 'Second (recovery mode)' { linuxefi /vmlinuz-2 root=PARTUUID=1 single selinux=1 }
}
linux16 /last
"""


def test_lines() -> None:
    first, second, rescue, last = kernel_lines(STATIC)
    assert [word.value for word in first.arguments] == [
        "security=selinux", "selinux=1", "root=PARTUUID=1", "single quoted", "x=a b", "$kernelopts",
    ]  # fmt: skip
    assert first.kernel.value == "$bootprefix/$mariner_linux"
    assert [word.value for word in second.arguments] == ["root=PARTUUID=1", "selinux=0"]
    assert [line.recovery for line in (first, second, rescue, last)] == [False, False, True, False]
    assert [word.value for word in rescue.arguments] == ["root=PARTUUID=1", "single", "selinux=1"]
    assert last.arguments == ()


def test_append() -> None:
    text = append_arguments(STATIC, ["a=1", "name=two words"])
    assert text == (
        STATIC.replace(" $kernelopts\n", " a=1 'name=two words' $kernelopts\n")
        .replace("selinux=0\n", "selinux=0 a=1 'name=two words'\n")
        .replace("/last\n", "/last a=1 'name=two words'\n")
    )


def test_replace_reaches_rescue_entries_too() -> None:
    names = ["security", "selinux", "enforcing"]
    assert replace_arguments(STATIC, names, ["selinux=0"]) == (
        STATIC.replace(" security=selinux selinux=1 root", " selinux=0 root")
        .replace("single selinux=1", "single selinux=0")
        .replace("/last\n", "/last selinux=0\n")
    )
    gone = replace_arguments(STATIC, names, [])
    assert gone == (
        STATIC.replace(" security=selinux selinux=1 root", " root")
        .replace("=1 selinux=0\n", "=1\n")
        .replace(" selinux=1 }", " }")
    )


@pytest.mark.parametrize(
    ("argument", "word"),
    [
        ("quiet", "quiet"),
        ("a=b,c:d/e", "a=b,c:d/e"),
        ('name="two words"', "'name=two words'"),
        ('"two words"', "'two words'"),
        ("it's", '"it\'s"'),
        ("a=it's $x", '"a=it\'s \\$x"'),
        ("a;b", "'a;b'"),
        ("a=$x", "'a=$x'"),
    ],
)
def test_arguments_become_words_that_are_read_back(argument: str, word: str) -> None:
    text = append_arguments("linux /k $kernelopts\n", [argument])
    assert text == f"linux /k {word} $kernelopts\n"
    [line] = kernel_lines(text)
    assert line.arguments[0].value == argument.replace('"', "")
    assert len(line.arguments) == 2


@pytest.mark.parametrize(
    "text",
    ["", "echo linux /k", "# linux /k x", "echo a#b; echo 'linux /k'", "linux", "set a='", 'echo "', "}", "}}{{"],
)
def test_scripts_without_a_kernel(text: str) -> None:
    assert kernel_lines(text) == ()
    assert append_arguments(text, ["x"]) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("insmod blscfg\nblscfg\n", True),
        ("if true; then\n  blscfg\nfi", True),
        ("insmod blscfg", False),
        ("echo blscfg # blscfg", False),
    ],
)
def test_entry_files(text: str, expected: bool) -> None:
    assert uses_entry_files(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('if [ -z "${kernelopts}" ]; then\n  set kernelopts="root=UUID=1 ro "\nfi\n', "root=UUID=1 ro "),
        ("set kernelopts='a b'", "a b"),
        ("set kernelopts=a; x", "a"),
        ("set other=a", None),
    ],
)
def test_options_for_entries_without_any(text: str, expected: str | None) -> None:
    assert default_options(text) == expected


def test_options_for_entries_are_edited_in_their_quotes() -> None:
    text = "load_video; set kernelopts='a b'\nblscfg\n"
    changed = edit_default_options(text, lambda line: f'{line} c="d e"')
    assert changed == 'load_video; set kernelopts="a b c=\\"d e\\""\nblscfg\n'
    assert default_options(changed) == 'a b c="d e"'
    assert edit_default_options("blscfg\n", str.upper) == "blscfg\n"
