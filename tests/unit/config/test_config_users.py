"""`os.users`, `os.groups` and passwords."""

from __future__ import annotations

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, os_of, places, unmarked

from twinroot.config.image.users import Group, Password, PasswordType, User

SECRET = "hunter2"

RIGHT_USERS: list[tuple[str, User]] = [
    ("{name: a}", User(name="a")),
    ("{name: 007}", User(name="007")),
    ("{name: true}", User(name="true")),
    ("{name: a.b-c_D$}", User(name="a.b-c_D$")),
    ("{name: abcdefghijklmnopqrstuvwxyz012345}", User(name="abcdefghijklmnopqrstuvwxyz012345")),
    ("{name: a, uid: 0}", User(name="a", uid=0)),
    ("{name: a, uid: 60000}", User(name="a", uid=60000)),
    ("{name: a, uid: '1_000'}", User(name="a", uid=1000)),
    ("{name: a, uid: 0x10}", User(name="a", uid=16)),
    ("{name: a, uid: , password: ~, sshPublicKeys: , homeDirectory: }", User(name="a")),
    ("{name: a, passwordExpiresDays: -1}", User(name="a", password_expires_days=-1)),
    ("{name: a, passwordExpiresDays: 0}", User(name="a", password_expires_days=0)),
    ("{name: a, passwordExpiresDays: 99999}", User(name="a", password_expires_days=99999)),
    ("{name: a, primaryGroup: '', startupCommand: '', homeDirectory: ''}", User(name="a")),
    (
        "{name: a, sshPublicKeyPaths: [k.pub, /k], sshPublicKeys: ['ssh-ed25519 AAAA a@b'], primaryGroup: users,"
        " secondaryGroups: [sudo, 5], startupCommand: /bin/sh, homeDirectory: /srv/a}",
        User(
            name="a",
            ssh_public_key_paths=("k.pub", "/k"),
            ssh_public_keys=("ssh-ed25519 AAAA a@b",),
            primary_group="users",
            secondary_groups=("sudo", "5"),
            startup_command="/bin/sh",
            home_directory="/srv/a",
        ),
    ),
]

RIGHT_PASSWORDS: list[tuple[str, PasswordType, str | None]] = [
    ("{type: locked}", "locked", None),
    ("{type: locked, value: }", "locked", None),
    ("{type: locked, value: ''}", "locked", None),
    ("{type: plain-text, value: 0123}", "plain-text", "0123"),
    ("{type: plain-text, value: ' '}", "plain-text", " "),
    ("{type: plain-text, value: '~'}", "plain-text", "~"),
    ("{type: hashed, value: $6$a$b}", "hashed", "$6$a$b"),
    ("{type: plain-text-file, value: secrets/a}", "plain-text-file", "secrets/a"),
    ("{type: hashed-file, value: /secrets/a}", "hashed-file", "/secrets/a"),
]

RIGHT_GROUPS: list[tuple[str, Group]] = [
    ("{name: a}", Group(name="a")),
    ("{name: a, gid: }", Group(name="a")),
    ("{name: 12, gid: 0}", Group(name="12", gid=0)),
    ("{name: a, gid: 60000}", Group(name="a", gid=60000)),
]

WRONG: list[Wrong] = [
    ("os: {users: «{name: a}}", "os.users", "expected a list"),
    ("os: {users: [«a]}", "os.users[0]", "expected a mapping (lines of 'key: value'), found the value 'a'"),
    ("os: {users: [{name: a}, «~]}", "os.users[1]", "expected a mapping (lines of 'key: value'), found nothing"),
    ("os: {users: [«{uid: 5}]}", "os.users[0].name", "this key is required and missing"),
    ("os: {users: [{name: «''}]}", "os.users[0].name", "the value may not be empty"),
    ("os: {users: [{name: «' \t '}]}", "os.users[0].name", "the value may not be empty"),
    ("os: {users: [{name: «'a b'}]}", "os.users[0].name", "'a b' is no name for a user or a group"),
    ("os: {users: [{name: «-a}]}", "os.users[0].name", "'-a' is no name"),
    ("os: {users: [{name: «'a:b'}]}", "os.users[0].name", "'a:b' is no name"),
    ("os: {users: [{name: «'a,b'}]}", "os.users[0].name", "'a,b' is no name"),
    ("os: {users: [{name: «a/b}]}", "os.users[0].name", "'a/b' is no name"),
    ("os: {users: [{name: «..}]}", "os.users[0].name", "'..' is no name"),
    ("os: {users: [{name: «\"a\\nb\"}]}", "os.users[0].name",
        "'a\\nb' is no name"),
    ("os: {users: [{name: «'~a'}]}", "os.users[0].name", "'~a' is no name"),
    ("os: {users: [{name: «abcdefghijklmnopqrstuvwxyz0123456}]}", "os.users[0].name",
        "the name 'abcdef"),
    ("os: {users: [{name: a, startupCommand: «bash}]}", "os.users[0].startupCommand",
        "the path 'bash' must be absolute"),
    ("os: {users: [{name: a, startupCommand: «'/bin/a:b'}]}", "os.users[0].startupCommand",
        "the path '/bin/a:b' may not contain ':'"),
    ("os: {users: [{name: a, homeDirectory: «srv}]}", "os.users[0].homeDirectory",
        "the path 'srv' must be absolute"),
    ("os: {users: [{name: a, homeDirectory: «/srv/../etc}]}", "os.users[0].homeDirectory",
        "the path '/srv/../etc' may not contain '..'"),
    ("os: {users: [{name: a, homeDirectory: «\"/a\\n\"}]}", "os.users[0].homeDirectory",
        "the path '/a\\n' may not contain ':' and control"),
    ("os: {groups: [{name: «a b}]}", "os.groups[0].name", "'a b' is no name"),
    ("os: {users: [{name: «[a]}]}", "os.users[0].name", "expected a single value, found a list"),
    ("os: {users: [{name: a, uid: «-1}]}", "os.users[0].uid", "-1 is out of range"),
    ("os: {users: [{name: a, uid: «60001}]}", "os.users[0].uid", "60001 is out of range"),
    ("os: {users: [{name: a, uid: «1.0}]}", "os.users[0].uid", "'1.0' is not a whole number"),
    ("os: {users: [{name: a, uid: «''}]}", "os.users[0].uid", "'' is not a whole number"),
    ("os: {users: [{name: a, uid: «root}]}", "os.users[0].uid", "'root' is not a whole number"),
    ("os: {users: [{name: a, uid: «[]}]}", "os.users[0].uid", "expected a single value, found a list"),
    ("os: {users: [{name: a, «gid: 5}]}", "os.users[0].gid", "unknown key 'gid'"),
    ("os: {users: [{name: a, passwordExpiresDays: «-2}]}", "os.users[0].passwordExpiresDays", "-2 is out of range"),
    ("os: {users: [{name: a, passwordExpiresDays: «100000}]}", "os.users[0].passwordExpiresDays",
        "100000 is out of range"),
    ("os: {users: [{name: a, passwordExpiresDays: «never}]}", "os.users[0].passwordExpiresDays",
        "'never' is not a whole number"),
    ("os: {users: [{name: a, sshPublicKeys: «k}]}", "os.users[0].sshPublicKeys", "expected a list"),
    ("os: {users: [{name: a, sshPublicKeys: [k, «'']}]}", "os.users[0].sshPublicKeys[1]",
        "the value may not be empty"),
    ("os: {users: [{name: a, sshPublicKeyPaths: [«~]}]}", "os.users[0].sshPublicKeyPaths[0]",
        "expected a single value, found nothing"),
    ("os: {users: [{name: a, secondaryGroups: [«{}]}]}", "os.users[0].secondaryGroups[0]",
        "expected a single value, found a mapping"),
    ("os: {groups: [«{gid: 5}]}", "os.groups[0].name", "this key is required and missing"),
    ("os: {groups: [{name: a}, {name: «' '}]}", "os.groups[1].name", "the value may not be empty"),
    ("os: {groups: [{name: a, gid: «-1}]}", "os.groups[0].gid", "-1 is out of range"),
    ("os: {groups: [{name: a, gid: «60001}]}", "os.groups[0].gid", "60001 is out of range"),
    ("os: {groups: [{name: a, «uid: 1}]}", "os.groups[0].uid", "unknown key 'uid'"),
    ("os: {groups: [«wheel]}", "os.groups[0]", "expected a mapping"),
]  # fmt: skip

P = "os.users[0].password"
WRONG_PASSWORDS: list[Wrong] = [
    ("«{value: hunter2}", P + ".type", "this key is required and missing"),
    ("{type: «'', value: hunter2}", P + ".type", "'' is not allowed here: use locked, plain-text,"),
    ("{type: «Locked, value: hunter2}", P + ".type", "'Locked' is not allowed here"),
    ("{type: «plain_text, value: hunter2}", P + ".type", "'plain_text' is not allowed here"),
    ("{type: «locked, value: hunter2}", P + ".type", "a locked password may not have a 'value'"),
    ("«{type: plain-text}", P, "a password of type plain-text needs a 'value'"),
    ("«{type: plain-text, value: ''}", P, "a password of type plain-text needs a 'value'"),
    ("«{type: plain-text, value: ~}", P, "a password of type plain-text needs a 'value'"),
    ("«{type: hashed}", P, "a password of type hashed needs a 'value'"),
    ("«{type: plain-text-file}", P, "a password of type plain-text-file needs a 'value'"),
    ("«{type: hashed-file}", P, "a password of type hashed-file needs a 'value'"),
    ("{type: plain-text, value: «[hunter2]}", P + ".value", "expected a single value, found a list"),
    ("{type: plain-text, value: «{hunter2: hunter2}}", P + ".value", "expected a single value, found a mapping"),
    ("{type: plain-text, value: x, «valu: hunter2}", P + ".valu", "unknown key 'valu'"),
    ("{type: plain-text, «plain-text: hunter2, value: a}", P + ".plain-text", "unknown key 'plain-text'"),
    ("{type: plain-text, value: hunter2, «value: hunter2}", "", "the key '…' is given twice"),
    ("«hunter2", P, "expected a mapping (lines of 'key: value'), found a single value"),
    ("«'hunter2'", P, "expected a mapping (lines of 'key: value'), found a single value"),
    ("«[hunter2]", P, "expected a mapping (lines of 'key: value'), found a list"),
]


@pytest.mark.parametrize(("text", "user"), RIGHT_USERS)
def test_users(config_of: ConfigOf, text: str, user: User) -> None:
    assert os_of(config_of(f"os: {{users: [{text}]}}")).users == (user,)


@pytest.mark.parametrize(("text", "kind", "value"), RIGHT_PASSWORDS)
def test_passwords(config_of: ConfigOf, text: str, kind: PasswordType, value: str | None) -> None:
    (user,) = os_of(config_of(f"os: {{users: [{{name: a, password: {text}}}]}}")).users
    assert user.password == Password(type=kind, value=value)


@pytest.mark.parametrize(("text", "group"), RIGHT_GROUPS)
def test_groups(config_of: ConfigOf, text: str, group: Group) -> None:
    assert os_of(config_of(f"os: {{groups: [{text}]}}")).groups == (group,)


def test_the_order_stays_and_names_may_repeat(config_of: ConfigOf) -> None:
    found = os_of(config_of("os: {users: [{name: b}, {name: a}, {name: b}], groups: [{name: d}, {name: c}]}"))
    assert [user.name for user in found.users] == ["b", "a", "b"]
    assert [group.name for group in found.groups] == ["d", "c"]


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    assert_one_problem(problems_of(unmarked(text)), text, key, message)


@pytest.mark.parametrize(("text", "key", "message"), WRONG_PASSWORDS)
def test_a_wrong_password_is_not_shown(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    whole = f"os:\n  users:\n  - name: a\n    password: {text}\n"
    found = problems_of(unmarked(whole))
    assert_one_problem(found, whole, key, message)
    assert SECRET not in str(found[0])


def test_passwords_are_not_shown_with_the_model() -> None:
    assert SECRET not in repr(User(name="a", password=Password(type="plain-text", value=SECRET)))


def test_what_is_wrong_with_one_user_does_not_hide_what_is_wrong_with_another(problems_of: ProblemsOf) -> None:
    text = """\
os:
  groups: [{name: a, gid: «60001}]
  users:
  - name: a
    uid: «-1
    password: «{type: plain-text}
  - name: b
    password: «{type: hashed}
  - «{}
  - name: c
    password: {type: «locked, value: hunter2}
"""
    found = problems_of(unmarked(text))
    assert [(problem.line, problem.column) for problem in found] == places(text)
    assert [problem.key for problem in found] == [
        "os.groups[0].gid",
        "os.users[0].uid",
        "os.users[0].password",
        "os.users[1].password",
        "os.users[2].name",
        "os.users[3].password.type",
    ]
    assert all(SECRET not in str(problem) for problem in found)
