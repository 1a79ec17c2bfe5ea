"""The normal form: what it says, and that reading it again gives the same configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.unit.config.host.test_host_corpus import SAMPLES
from tests.unit.config.host.texts import FULL, SMALL

from twinroot.config.host.config import HostConfig
from twinroot.config.host.normal import normal, to_yaml
from twinroot.config.load_host import load_host_config, parse_host_config

EXAMPLES = sorted((Path(__file__).resolve().parents[4] / "docs/config-examples").glob("host-*.yaml"))
ConfigOf = Callable[[str], HostConfig]


@pytest.mark.parametrize(
    "text", [FULL, SMALL, *(sample.text() for sample in SAMPLES), *(example.read_text() for example in EXAMPLES)]
)
def test_reading_the_normal_form_gives_the_same(text: str) -> None:
    config = parse_host_config(text, "a").config
    written = to_yaml(normal(config))
    again = parse_host_config(written, "b").config
    assert again == config
    assert to_yaml(normal(again)) == written


def test_short_forms_are_written_out(config_of: ConfigOf) -> None:
    found = normal(config_of(FULL))
    storage = found["storage"]
    assert storage["filesystems"][1] == {"deviceId": "boot", "mountPoint": {"path": "/boot", "options": "defaults"}}
    assert storage["swap"] == [{"deviceId": "swap1"}, {"deviceId": "safe-swap"}]
    assert storage["encryption"]["pcrs"] == ["secure-boot-policy", "boot-loader-code"]
    assert storage["disks"][0]["partitions"][0] == {
        "id": "esp1", "type": "esp", "size": "64M", "uuid": None, "label": None,
    }  # fmt: skip
    assert storage["verity"][0]["corruptionOption"] == "io-error"
    assert found["os"]["netplan"]["ethernets"]["lan"] == {
        "dhcp4": True,
        "addresses": ["10.0.0.2/24", {"10.0.0.3/24": {"label": "two"}}],
        "match": {"name": "en*"},
    }
    assert found["internalParams"] == {"httpConnectionTimeoutSeconds": 20}
    assert "trident" not in found  # all of it is at its default


@pytest.mark.parametrize(
    ("size", "written"), [("4096", "4K"), ("1048576", "1M"), ("1028K", "1028K"), ("2048G", "2T"), ("grow", "grow")]
)
def test_sizes(config_of: ConfigOf, size: str, written: str) -> None:
    text = SMALL.replace("{id: other, size: 1G}", f"{{id: other, size: {size}}}")
    assert normal(config_of(text))["storage"]["disks"][0]["partitions"][4]["size"] == written


@pytest.mark.parametrize(
    "text", ["1e5", "0o17", "1_000", "0x1f", "yes", "null", "12e45", "0644", "on", "", "a: b", "."]
)
def test_texts_stay_texts_for_every_reader(text: str) -> None:
    written = to_yaml({"value": text})
    assert yaml.safe_load(written) == {"value": text}
    if text[:1].isdigit() and "_" not in text:
        assert written == f"value: '{text}'\n"


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("source: new, mountPoint: /x", "source: new, type: ext4, mountPoint: {path: /x, options: defaults}"),
        ("source: new, type: ~, mountPoint: /x", "source: new, type: ext4, mountPoint: /x"),
        ("mountPoint: /x", "source: image, overrideEspMount: use-default, mountPoint: /x"),
    ],
)
def test_defaults_written_out_are_the_same_filesystem(config_of: ConfigOf, short: str, long: str) -> None:
    texts = [SMALL + f"    - {{deviceId: other, {keys}}}\n" for keys in (short, long)]
    assert config_of(texts[0]) == config_of(texts[1])


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("users: [{name: a}]", "users: [{name: a, password: {type: locked}, sshMode: block}]"),
        ("hostname: a", "hostname: a, kernelCommandLine: {extraCommandLine: []}, services: {}, selinux: {mode: ~}"),
        ("modules: [{name: a}]", "modules: [{name: a, loadMode: inherit, options: {}}]"),
    ],
)
def test_defaults_written_out_are_the_same_os(config_of: ConfigOf, short: str, long: str) -> None:
    off = "trident: {disable: true}\n"
    assert config_of(f"{off}os: {{{short}}}") == config_of(f"{off}os: {{{long}}}")


def test_values_of_free_form(config_of: ConfigOf) -> None:
    text = "trident: {disable: true}\ninternalParams: {a: true, b: 5, c: 1.5, d: 1e999, e: [f, {g: False}], h: 0x1}\n"
    found = normal(config_of(text))["internalParams"]
    assert found == {"a": True, "b": 5, "c": 1.5, "d": "1e999", "e": ["f", {"g": False}], "h": "0x1"}


def test_values_of_netplan(config_of: ConfigOf) -> None:
    text = (
        "trident: {disable: true}\nos: {netplan: {version: 2, ethernets: {a: {dhcp4: no, mtu: 1500, link-local: [], "
        "dhcp4-overrides: {use-domains: route}, dhcp6-overrides: {use-domains: yes}}}}}\n"
    )
    assert normal(config_of(text))["os"]["netplan"]["ethernets"]["a"] == {
        "dhcp4": False,
        "dhcp4-overrides": {"use-domains": "route"},
        "dhcp6-overrides": {"use-domains": True},
        "link-local": [],
        "mtu": 1500,
    }


def test_the_defaults_of_the_whole_are_nothing() -> None:
    assert normal(HostConfig()) == {}


def test_what_is_always_written(config_of: ConfigOf) -> None:
    found = normal(
        config_of("trident: {disable: true}\nos: {hostname: a, modules: [{name: b}], services: {enable: [c]}}")
    )
    assert found == {
        "os": {
            "selinux": {"mode": None},
            "users": [],
            "hostname": "a",
            "modules": [{"name": "b", "loadMode": "inherit", "options": {}}],
            "services": {"enable": ["c"], "disable": []},
            "uefiFallback": "conservative",
        },
        "trident": {"disable": True, "phonehome": None},
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_right(example: Path) -> None:
    assert load_host_config(example).warnings == ()
