"""Which language a file is written in."""

from __future__ import annotations

import pytest

from twinroot.config.languages import language_of
from twinroot.config.yaml import parse


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
