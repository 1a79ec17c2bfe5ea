"""A value that is wrong: nothing else is called wrong because of it, and nothing that is wrong is hidden by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.config.host.test_host_corpus import SAMPLES
from tests.unit.config.test_config_corpus import ALONE, TEXTS, UPON_OTHERS

from twinroot.config.checks import Rule, check
from twinroot.config.decode import decode
from twinroot.config.document import plain
from twinroot.config.host.config import HostConfig
from twinroot.config.host.rules import HOST_RULES
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.rules import IMAGE_RULES
from twinroot.config.problems import KeyPath, show_path
from twinroot.config.section import Section
from twinroot.config.yaml import parse
from twinroot.errors import Problem

WRONG = [["wrong"]]  # where no value or list may be


def problems_of(text: str, model: type[Section], rules: tuple[Rule[Any], ...]) -> list[Problem]:
    document = parse(text.encode(), "f")
    decoded = decode(document, model)
    return [*decoded.problems, *check(document, decoded.model, rules)]


def places(data: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The key path of every value, however large."""
    pairs: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield (*path, key)
        yield from places(value, (*path, key))


def broken(data: Any, path: KeyPath) -> Any:
    """The data with something wrong at a path."""
    if not path:
        return WRONG
    copy: Any = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = broken(data[path[0]], path[1:])
    return copy


def follow_ups(text: str, model: type[Section], rules: tuple[Rule[Any], ...]) -> Iterator[str]:
    """What is called wrong elsewhere than at the one wrong value, for each place in a text that is right."""
    data = plain(parse(text.encode(), "f").root)
    for path in places(data):
        for problem in problems_of(json.dumps(broken(data, path)), model, rules):
            # A value that holds objects may be told to be wrong at one of their keys.
            if not problem.key.startswith(show_path(path)):
                yield f"with {show_path(path)} wrong: {problem.key}: {problem.message}"


@pytest.mark.parametrize("name", sorted({*(row[0] for row in ALONE), *(row[0] for row in UPON_OTHERS)}))
def test_one_wrong_value_is_one_mistake_in_an_image_configuration(name: str) -> None:
    text = TEXTS[f"{name}.yaml"]
    assert problems_of(text, ImageConfig, IMAGE_RULES) == []
    assert list(follow_ups(text, ImageConfig, IMAGE_RULES)) == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_one_wrong_value_is_one_mistake_in_a_host_configuration(sample: Any) -> None:
    assert problems_of(sample.text(), HostConfig, HOST_RULES) == []
    assert list(follow_ups(sample.text(), HostConfig, HOST_RULES)) == []


IMAGE = """\
previewFeatures: []
storage:
  bootType: efi
  disks:
  - partitionTableType: gpt
    maxSize: 4G
    partitions:
    - {id: esp, type: esp, size: 8M}
    - {id: root, size: 2G}
    - {id: data, size: 1G}
  filesystems:
  - {deviceId: esp, type: fat32, mountPoint: /boot/efi}
  - {deviceId: root, type: ext4, mountPoint: /}
  - {deviceId: data, type: ext4, mountPoint: /data}
os:
  bootloader: {resetType: hard-reset}
  modules: [{name: a, loadMode: always}, {name: b, loadMode: always}]
"""
HOST = """\
storage:
  disks:
  - id: disk
    device: /dev/sda
    partitionTableType: gpt
    partitions:
    - {id: esp, type: esp, size: 64M}
    - {id: a, type: root, size: 2G}
    - {id: b, type: root, size: 2G}
    - {id: data, size: 1G}
  abUpdate: {volumePairs: [{id: root, volumeAId: a, volumeBId: b}]}
  filesystems:
  - {deviceId: esp, mountPoint: /boot/efi}
  - {deviceId: root, mountPoint: /}
  - {deviceId: data, source: new, type: ext4, mountPoint: /var/lib/trident}
os:
  users: [{name: x}, {name: y}]
"""
BOTH = [
    # what is replaced by what, twice, and the keys of the mistakes
    (IMAGE, ("size: 2G", "size: 8Q"), ("deviceId: data", "deviceId: dat"),
        ("storage.disks[0].partitions[1].size", "storage.filesystems[2].deviceId")),
    (IMAGE, ("maxSize: 4G", "maxSize: 4"), ("- {id: data", "- {id: root"),
        ("storage.disks[0].maxSize", "storage.disks[0].partitions[2].id", "storage.filesystems[2].deviceId")),
    (IMAGE, ("maxSize: 4G", "maxSize: 4"), ("size: 2G", "start: 2M, size: 2G"),
        ("storage.disks[0].maxSize", "storage.disks[0].partitions[1]")),
    (IMAGE, ("deviceId: root, ", ""), ("deviceId: data", "deviceId: dat"),
        ("storage.filesystems[1].deviceId", "storage.filesystems[2].deviceId")),
    (IMAGE, ("type: ext4, mountPoint: /}", "type: ext9, mountPoint: /}"), ("mountPoint: /data", "mountPoint: /"),
        ("storage.filesystems[1].type", "storage.filesystems[2].mountPoint")),
    (IMAGE, ("type: ext4, mountPoint: /}", "type: ext4, mountPoint: x}"), ("type: fat32", "type: ext4"),
        ("storage.filesystems[0].type", "storage.filesystems[1].mountPoint")),
    (IMAGE, ("efi\n", "bios\n"), ("resetType: hard-reset", ""),
        ("storage.bootType", "os.bootloader.resetType")),
    (IMAGE, ("loadMode: always}, ", "loadMode: never}, "), ("name: b", "name: a"),
        ("os.modules[0].loadMode", "os.modules[1].name")),
    (HOST, ("size: 1G", "size: 1Q"), ("volumeBId: b", "volumeBId: c"),
        ("storage.disks[0].partitions[3].size", "storage.abUpdate.volumePairs[0].volumeBId")),
    (HOST, ("volumeAId: a, ", ""), ("deviceId: data", "deviceId: dat"),
        ("storage.abUpdate.volumePairs[0].volumeAId", "storage.filesystems[2].deviceId")),
    (HOST, ("source: new", "source: old"), ("{deviceId: root, mountPoint: /}", "{deviceId: root, mountPoint: /x}"),
        ("storage.filesystems[2].source", "storage.filesystems")),
    (HOST, ("deviceId: root", "deviceId: [root]"), ("{id: b, type: root, size: 2G}", "{id: b, type: root, size: 3G}"),
        ("storage.abUpdate.volumePairs[0].volumeBId", "storage.filesystems[1].deviceId")),
    (HOST, ("type: esp, size: 64M", "type: espp, size: 64M"), ("name: y", "name: x"),
        ("os.users[1].name", "storage.disks[0].partitions[0].type")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "first", "second", "keys"), BOTH, ids=lambda value: str(value)[:60])
def test_a_wrong_value_hides_no_other_mistake(
    text: str, first: tuple[str, str], second: tuple[str, str], keys: tuple[str, ...]
) -> None:
    model: type[Section] = ImageConfig if text == IMAGE else HostConfig
    rules: tuple[Rule[Any], ...] = IMAGE_RULES if text == IMAGE else HOST_RULES
    assert problems_of(text, model, rules) == []
    for old, _ in (first, second):
        assert text.count(old) == 1
    found = problems_of(text.replace(*first).replace(*second), model, rules)
    assert sorted(problem.key for problem in found) == sorted(keys)
