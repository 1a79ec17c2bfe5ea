"""Users and groups: what is read, what clashes, which programs are called how."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinroot.config.image.users import Group, User
from twinroot.config.problems import show_path
from twinroot.customize import groups, passwords, users
from twinroot.errors import InputError
from twinroot.system import ssh_keys
from twinroot.system.accounts import Account, group_id, login_settings, parse_group, parse_passwd

PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\n# no line\n\nbob:x:1:2::/home/bob:\nbob:x:9:9::/:/\nx:x:a:0::/:/\n:x:3:3::/:/\n"
)
GROUP = "root:x:0:\nadm:x:4:a,b\n+::\nbad:x:-1:\nadm:x:5:\n"


def test_tables_of_accounts() -> None:
    assert parse_passwd(PASSWD) == {
        "root": Account("root", 0, 0, "/root", "/bin/sh"),
        "bob": Account("bob", 1, 2, "/home/bob", ""),
    }
    assert parse_group(GROUP) == {"root": 0, "adm": 4}


@pytest.mark.parametrize(("name", "gid"), [("adm", 4), ("4", 4), ("5", None), ("", None), ("²", None), ("none", None)])
def test_group_id(name: str, gid: int | None) -> None:
    assert group_id(name, parse_group(GROUP)) == gid


def test_login_settings(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    assert login_settings(tmp_path) == {}
    (tmp_path / "etc/login.defs").write_text("# UMASK 077\nUMASK\t\t022\n  ENCRYPT_METHOD YESCRYPT # x\nEMPTY\n")
    assert login_settings(tmp_path) == {"UMASK": "022", "ENCRYPT_METHOD": "YESCRYPT"}


@pytest.mark.parametrize(
    ("settings", "mode"),
    [({}, 0o700), ({"UMASK": "022"}, 0o755), ({"UMASK": "077", "HOME_MODE": "0750"}, 0o750),
     ({"HOME_MODE": "rwx"}, 0o700), ({"UMASK": "9"}, 0o700)],
)  # fmt: skip
def test_home_mode(settings: dict[str, str], mode: int) -> None:
    assert users.home_mode(settings) == mode


@pytest.mark.parametrize(
    ("wanted", "method"),
    [({}, "SHA512"), ({"ENCRYPT_METHOD": "YESCRYPT"}, "YESCRYPT"), ({"ENCRYPT_METHOD": "DES"}, "SHA512"),
     ({"ENCRYPT_METHOD": "MD5"}, "SHA512"), ({"ENCRYPT_METHOD": "SHA256"}, "SHA256")],
)  # fmt: skip
def test_crypt_method(wanted: dict[str, str], method: str) -> None:
    assert passwords.crypt_method(wanted) == method


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        ("plain-text", "a", None),
        ("plain-text", "ä:$ '\\", None),
        ("plain-text", "x" * 511, None),
        ("plain-text", "x" * 512, "longer than 511 bytes"),
        ("plain-text-file", "ä" * 256, "longer than 511 bytes"),
        ("plain-text", "a\nroot:b", "line breaks"),
        ("plain-text", "a\x00", "control characters"),
        ("plain-text-file", "", "is empty"),
        ("hashed", "$6$a$b", None),
        ("hashed", "$y$j9T$abc./$X.", None),
        ("hashed", "$2b$12$abc", None),
        ("hashed", "$6$rounds=5000$salt$hash", None),
        ("hashed", "!$6$a$b", None),
        ("hashed", "*", None),
        ("hashed", "!!", None),
        ("hashed", "abJnggxhB/yWI", None),
        ("hashed", "password", "not a hash"),
        ("hashed", "$6$a$b\nroot:", "not a hash"),
        ("hashed", "$6$a$b:0", "not a hash"),
        ("hashed-file", "$6$a b", "not a hash"),
        ("hashed", "$6$" + "a" * 400, "not a hash"),
    ],
)
def test_complaints_about_passwords(kind: str, value: str, says: str | None) -> None:
    found = passwords.complaint(kind, value)
    assert found is None if says is None else found is not None and says in found and (not value or value not in found)


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"a", "a"), (b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b" a \n", " a "), (b"\n", ""), (b"", "")],
)
def test_one_line_end_of_a_password_file_does_not_count(content: bytes, value: str, tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(content)
    assert passwords.read_value(tmp_path / "p") == value


@pytest.mark.parametrize(
    ("existing", "keys", "merged"),
    [
        ("", ["a", "b", "a"], "a\nb\n"),
        ("a\n", ["a", "b"], "a\nb\n"),
        ("# mine\n a", ["b", "a"], "# mine\n a\nb\n"),
        ("a\n", [], "a\n"),
        ("a", ["a"], "a\n"),
    ],
)
def test_keys_are_added_once(existing: str, keys: list[str], merged: str) -> None:
    assert ssh_keys.merge_keys(existing, keys) == merged


@pytest.mark.parametrize("text", ["-----BEGIN OPENSSH PRIVATE KEY-----\n", "ssh-rsa \x1b[2J", "a\x00b"])
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(InputError):
        ssh_keys.split_keys(text)


def _user(**fields: object) -> User:
    return User.model_validate({"name": "a", **fields})


def test_how_programs_are_called() -> None:
    whole = _user(uid=5, homeDirectory="/h", primaryGroup="g", startupCommand="/bin/s")
    assert users.creation(whole) == [
        "useradd", "--create-home", "--uid", "5", "--home-dir", "/h", "--gid", "g", "--shell", "/bin/s", "--", "a",
    ]  # fmt: skip
    assert users.creation(_user()) == ["useradd", "--create-home", "--", "a"]
    assert users.changes(_user(secondaryGroups=("g",))) == []
    assert users.changes(_user(startupCommand="/bin/s")) == [["usermod", "--shell", "/bin/s", "--", "a"]]
    assert groups.command(Group(name="g")) == ["groupadd", "--", "g"]
    assert groups.command(Group(name="g", gid=0)) == ["groupadd", "--gid", "0", "--", "g"]


@pytest.mark.parametrize(
    ("days", "last", "options"),
    [
        (30, "20000", ["--maxdays", "30"]),
        (30, "", ["--lastday", "7", "--maxdays", "30"]),
        (-1, "", ["--maxdays", "-1"]),
    ],
)
def test_expiry(days: int, last: str, options: list[str]) -> None:
    assert users.expiry("a", days, last, 7) == ["chage", *options, "--", "a"]


@pytest.mark.parametrize(
    ("user", "keys"),
    [
        (_user(uid=9, primaryGroup="adm", secondaryGroups=("root", "4")), []),
        (_user(uid=1), ["uid"]),
        (_user(name="bob", uid=1, homeDirectory="/x"), ["uid", "homeDirectory"]),
        (_user(primaryGroup="x", secondaryGroups=("adm", "y")), ["primaryGroup", "secondaryGroups[1]"]),
    ],
)
def test_clashes_of_users(user: User, keys: list[str]) -> None:
    found = users.clashes(user, parse_passwd(PASSWD), parse_group(GROUP))
    assert [show_path(finding.path) for finding in found] == keys


@pytest.mark.parametrize(
    ("group", "clash"),
    [(Group(name="adm"), False), (Group(name="adm", gid=4), True), (Group(name="b", gid=4), True),
     (Group(name="b", gid=6), False)],
)  # fmt: skip
def test_clashes_of_groups(group: Group, clash: bool) -> None:
    assert [finding.path for finding in groups.clashes(group, parse_group(GROUP))] == [("gid",)] * clash
