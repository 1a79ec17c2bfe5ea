"""Which kind of servicing a change of the configuration asks for."""

from __future__ import annotations

import pytest
from tests.unit.agent.statuses import config
from tests.unit.config.host.texts import FULL

from twinroot.agent.errors import ServicingError
from twinroot.agent.select import changed_storage, update_type
from twinroot.agent.states import ServicingType
from twinroot.config.host.config import HostConfig
from twinroot.config.host.filesystems import Filesystem, MountPoint
from twinroot.config.load_host import parse_host_config

AB, RUNTIME, NONE = ServicingType.AB_UPDATE, ServicingType.RUNTIME_UPDATE, ServicingType.NONE
NET = "os: {netplan: {version: 2, ethernets: {a: {dhcp4: %s}}}}\n"
SYSEXT = "trident: {disable: true}\nstorage: {}\nos: {sysexts: [{url: 'file:/a', sha384: %s}]}\n"

CASES: list[tuple[str, str, ServicingType]] = [
    # other sections before and after
    ("", "", NONE),
    ("os: {hostname: a}", "os: {hostname: a}", NONE),
    ("os: {hostname: a}", "os: {hostname: b}", AB),
    ("", "os: {users: [{name: a}]}", AB),
    ("", "os: {modules: [{name: a}]}", AB),
    ("", "os: {services: {enable: [a]}}", AB),
    ("", "os: {kernelCommandLine: {extraCommandLine: [a]}}", AB),
    ("", "os: {selinux: {mode: disabled}}", AB),
    (NET % "true", NET % "false", RUNTIME),
    (NET % "true", "", RUNTIME),
    (NET % "true", NET % "false" + "  \n", RUNTIME),
    ("", "os: {additionalFiles: [{destination: /a, content: b}]}", RUNTIME),
    ("", "os: {uefiFallback: disabled}", RUNTIME),
    ("", "health: {checks: [{content: a, runOn: [all]}]}", NONE),
    ("", "trident: {phonehome: 'http://a/'}", NONE),
    ("", "managementOs: {users: [{name: a}]}", NONE),
    ("", "internalParams: {noTransition: true}", NONE),
    ("", "internalParams: {forceAbUpdate: true}", AB),
    ("", "internalParams: {forceAbUpdate: maybe}", NONE),
    ("", "scripts: {postConfigure: [{content: a, runOn: [all]}]}", AB),
    ("scripts: {postConfigure: [{content: a}]}", "scripts: {postConfigure: [{content: a}]}", NONE),
    ("scripts: {postConfigure: [{content: a}]}", "scripts: {postConfigure: [{content: b}]}", AB),
    ("scripts: {postConfigure: [{content: a}]}", "", NONE),
]


@pytest.mark.parametrize(("before", "now", "expected"), CASES)
def test_the_type_of_an_update(before: str, now: str, expected: ServicingType) -> None:
    assert update_type(config(more=before), config(more=now)) is expected


def test_an_etc_that_cannot_change_is_written_with_a_new_system() -> None:
    before, now = (
        parse_host_config(FULL.replace("dhcp4: true", f"dhcp4: {value}"), "a").config for value in ("true", "false")
    )
    assert before != now and update_type(before, now) is AB


def image(text: str) -> HostConfig:
    return parse_host_config(f"trident: {{disable: true}}\n{text}", "a").config


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("image: {url: 'http://a/', sha384: %s}" % ("1" * 96), "image: {url: 'http://a/', sha384: %s}" % ("2" * 96),
        AB),
        ("image: {url: 'http://a/', sha384: %s}" % ("1" * 96), "image: {url: 'http://b/', sha384: %s}" % ("1" * 96),
        NONE),
        ("image: {url: 'http://a/', sha384: ignored}", "image: {url: 'http://b/', sha384: ignored}", AB),
        ("image: {url: 'http://a/', sha384: ignored}", "image: {url: 'http://a/', sha384: ignored}", NONE),
        ("image: {url: 'http://a/', sha384: ignored}", "image: {url: 'http://a/', sha384: %s}" % ("1" * 96), AB),
        ("os: {hostname: a}", "os: {hostname: a}\nimage: {url: 'http://a/', sha384: ignored}", AB),
        (SYSEXT % ("a" * 96), SYSEXT % ("b" * 96), RUNTIME),
    ],
)  # fmt: skip
def test_images_and_extensions(before: str, now: str, expected: ServicingType) -> None:
    texts = [text.removeprefix("trident: {disable: true}\n") for text in (before, now)]
    assert update_type(image(texts[0]), image(texts[1])) is expected


def test_no_update() -> None:
    with pytest.raises(ServicingError, match="has no configuration yet") as found:
        update_type(HostConfig(), config())
    assert found.value.record()["error"] == "clean-install-on-provisioned-host"
    with pytest.raises(ServicingError, match="has no image") as found:
        update_type(config(), image("os: {hostname: a}"))
    assert found.value.category == "invalid-input"


def test_storage_that_no_update_can_change() -> None:
    before = config()
    assert changed_storage(before, config("2")) == ()
    other = before.model_copy(update={"storage": before.storage.model_copy(update={"disks": (), "filesystems": ()})})
    assert changed_storage(before, other) == ("disks",)
    allowed = other.model_copy(update={"internal_params": {"allowHostConfigStorageChange": True}})
    assert changed_storage(before, allowed) == ()


def test_what_is_mounted_changes_with_the_system() -> None:
    before = config()
    more = Filesystem(type="tmpfs", source="new", mount_point=MountPoint(path="/a"))
    storage = before.storage.model_copy(update={"filesystems": (*before.storage.filesystems, more)})
    assert update_type(before, before.model_copy(update={"storage": storage})) is ServicingType.AB_UPDATE
