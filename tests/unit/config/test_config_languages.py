"""Which language a file is written in."""

from __future__ import annotations

import pytest

from twinroot.config.languages import language_of, refuse_another_language
from twinroot.config.yaml import parse
from twinroot.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("{}", "image"),
        ("[]", "image"),
        ("text", "image"),
        ("os: {hostname: a}", "image"),
        ("storage: {}", "image"),
        ("os: {hostname: a, packages: {}}", "image"),
        ("os: {hostname: a, netplan: {}}", "host"),
        ("storage: {disks: [{id: a, device: /dev/a, partitions: []}]}", "host"),
        ("storage: {disks: [{maxSize: 1G, partitions: []}]}", "image"),
        ("storage: {bootType: efi, filesystems: [{deviceId: a, type: ext4}]}", "image"),
        ("storage: {filesystems: [{deviceId: a, source: new}]}", "host"),
        ("scripts: {postConfigure: []}", "host"),
        ("scripts: {postCustomization: []}", "image"),
        ("image: {url: a}", "host"),
        ("hostConfiguration: {storage: {}}", "host"),
        ("allowedOperations: []", "host"),
        ("trident: {disable: true}\nopps: 1", "host"),
        ("injectFiles: []\npreviewFeatures: [inject-files]", "inject-files"),
    ],
)
def test_language_of(text: str, language: str) -> None:
    assert language_of(parse(text.encode(), "f")) == language


HOST = "trident: {disable: true}\nos: {users: [{name: a, sshMode: block}]}\n"
IMAGE = "os:\n  hostname: a\noutput: {image: {path: a}}\n"


@pytest.mark.parametrize(
    ("text", "wanted", "line", "message"),
    [
        (HOST, "image", 1, "this seems to be a host configuration, and an image configuration is wanted"),
        ("image: {url: a}", "image", 1, "this seems to be a host configuration"),
        ("os: {hostname: a}\nhostConfiguration: {}", "image", 2, "this seems to be a host configuration"),
        ("os:\n  netplan: {}\n  sysexts: []", "image", 2, "this seems to be a host configuration"),
        ("opps: 1\ninjectFiles: []", "image", 2, "this seems to be a configuration of inject-files"),
        (IMAGE, "host", 3, "this seems to be an image configuration, and a host configuration is wanted"),
        ("scripts: {postCustomization: [], finalizeCustomization: []}", "host", 1, "this seems to be an image"),
    ],
)
def test_another_language(text: str, wanted: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_another_language(parse(text.encode(), "f"), wanted)
    (problem,) = caught.value.problems
    assert (problem.line, problem.key, problem.message[: len(message)]) == (line, "", message)
    assert problem.hint is not None and "check" in problem.hint


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (HOST, "host"),
        (IMAGE, "image"),
        ("{}", "host"),
        ("[]", "host"),
        ("os: {hostname: a}", "host"),
        ("os: {netplan: {}}", "image"),  # what belongs elsewhere is a mistake like any other
        ("trident: {}\noutput: {}", "image"),
        ("trident: {}\nmanagementOs: {}\nos: {bootloader: {}}", "image"),
        ("colour: red", "image"),
    ],
)
def test_the_language_that_is_wanted(text: str, wanted: str) -> None:
    document = parse(text.encode(), "f")
    refuse_another_language(document, wanted)
    assert not document.mistakes


def test_no_password_is_shown_with_the_language() -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_another_language(parse(b"managementOs: {users: [{name: a, password: hunter2}]}", "f"), "image")
    assert "hunter2" not in str([(problem, problem.text) for problem in caught.value.problems])
