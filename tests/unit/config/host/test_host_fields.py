"""Fields and objects of host configurations: accepted and refused texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.config.host.texts import FULL, HASH, changed
from tests.unit.config.marked import assert_one_problem, unmarked

from twinroot.cli.frame import problem_text
from twinroot.config.host.config import HostConfig
from twinroot.config.host.internal_params import is_set
from twinroot.config.host.netplan import AccessPoint, Ethernet
from twinroot.config.host.netplan_interface import AddressOptions, Interface, Route
from twinroot.config.load_host import load_host_config, parse_host_config
from twinroot.errors import ConfigError, Problem
from twinroot.units import GIB, KIB

ProblemsOf = Callable[[str], list[Problem]]
ConfigOf = Callable[[str], HostConfig]

OFF = "trident: {disable: true}\n"
DISK = "storage: {disks: [{id: d, device: /dev/a, partitionTableType: gpt, partitions: [%s]}]}\n"
ESP_AND_ROOT = (
    "  filesystems: [{deviceId: esp, mountPoint: /boot/efi}, {deviceId: root, mountPoint: /}]\n"
    "  disks: [{id: d, device: /dev/a, partitionTableType: gpt, partitions: [{id: esp, type: esp, size: 1M},\n"
    "    {id: root, size: %s}]}]\n"
)
STORAGE = "storage:\n" + ESP_AND_ROOT % "1G"
USER = "os: {users: [{name: a, %s}]}\n"
FILE = "os: {additionalFiles: [{destination: /a, %s}]}\n"
NETPLAN = "os: {netplan: {version: 2, %s}}\n"
IMAGE = "image: {url: %s, sha384: ignored}\n"
ADDRESSES = "os: {netplan: {version: 2, ethernets: {a: {addresses: [%s]}}}}\n"
A = "os.netplan.ethernets.a.addresses"
EXTENSION = "os: {%s: [{url: 'file:///x.raw', sha384: " + HASH + ", path: %s}]}\n"

WRONG: list[tuple[str, str, str]] = [
    # text («: the place), key path, beginning of the message
    ("ostrich: 1", "ostrich", "unknown key 'ostrich'"),
    ("image: {url: 'https://a/b', sha384: ignored, «size: 1}", "image.size", "unknown key 'size'"),
    ("image: «{url: 'https://a/b'}", "image.sha384", "this key is required"),
    ("image: {url: «/tmp/x.cosi, sha384: ignored}", "image.url", "'/tmp/x.cosi' is a path, not a URL"),
    ("image: {url: «image.cosi, sha384: ignored}", "image.url", "'image.cosi' is not a URL"),
    ("image: {url: «'http://', sha384: ignored}", "image.url", "the URL 'http://' names no host"),
    ("image: {url: «'http://a:x/', sha384: ignored}", "image.url", "'http://a:x/' is not a URL: Port"),
    ("image: {url: «'http://a b/', sha384: ignored}", "image.url", "'http://a b/' is not a URL"),
    ("image: {url: 'http://a/', sha384: «ignore}", "image.sha384", "'ignore' is not a SHA-384 hash"),
    ("image: {url: 'http://a/', sha384: «abc}", "image.sha384", "'abc' is not a SHA-384 hash"),
    ("trident: {disable: «yes}", "trident.disable", "'yes' is neither true nor false"),
    ("trident: {datastorePath: «a.sqlite}", "trident.datastorePath", "the path 'a.sqlite' must be absolute"),
    (DISK % "{id: a, size: «1k}", "storage.disks[0].partitions[0].size", "'1k' is not a size"),
    (DISK % "{id: a, size: «1.5G}", "storage.disks[0].partitions[0].size", "'1.5G' is not a size"),
    (DISK % "{id: a, size: «1P}", "storage.disks[0].partitions[0].size", "'1P' is not a size"),
    (DISK % "{id: a, size: «4097}", "storage.disks[0].partitions[0].size", "the size '4097' is not a multiple of 4K"),
    (DISK % "{id: a, size: «0}", "storage.disks[0].partitions[0].size", "the size '0' is not a multiple of 4K"),
    (DISK % "{id: a, size: «99999999T}", "storage.disks[0].partitions[0].size", "the size '99999999T' is out of range"),
    (DISK % "{id: a, size: 1M, type: «bios-grub}", "storage.disks[0].partitions[0].type",
        "'bios-grub' is not a partition"),
    (DISK % "{id: a, size: 1M, uuid: «12}", "storage.disks[0].partitions[0].uuid", "'12' is not a UUID"),
    (DISK % "«{id: a}", "storage.disks[0].partitions[0].size", "this key is required"),
    ("storage: {disks: [{id: d, device: «sda, partitionTableType: gpt, partitions: []}]}", "storage.disks[0].device",
        "the path 'sda' must be absolute"),
    ("storage: {disks: [{id: d, device: /dev/a, partitionTableType: «mbr, partitions: []}]}",
        "storage.disks[0].partitionTableType", "'mbr' is not allowed here"),
    ("storage: {encryption: {volumes: [], pcrs: [«24]}}", "storage.encryption.pcrs[0]", "'24' is not a PCR"),
    ("storage: {encryption: {volumes: [], pcrs: [«kernel-bot]}}", "storage.encryption.pcrs[0]",
        "'kernel-bot' is not a PCR"),
    ("storage: {encryption: {volumes: [], pcrs: [], recoveryKeyUrl: «'http://a/k'}}",
        "storage.encryption.recoveryKeyUrl",
        "the URL 'http://a/k' must have the scheme file"),
    ("storage: {raid: {software: [{id: a, name: «a/b, level: raid1, devices: []}]}}", "storage.raid.software[0].name",
        "'a/b' is not a device name"),
    ("storage: {filesystems: [{deviceId: a, mountPoint: «data}]}", "storage.filesystems[0].mountPoint",
        "the path 'data' must be absolute"),
    ("storage: {filesystems: [{deviceId: a, mountPoint: «'/a b'}]}", "storage.filesystems[0].mountPoint",
        "the path '/a b' may not contain white space"),
    ("storage: {filesystems: [{deviceId: a, mountPoint: «/a/../b}]}", "storage.filesystems[0].mountPoint",
        "the path '/a/../b' may not contain '..'"),
    ("storage: {filesystems: [{deviceId: a, source: «create}]}", "storage.filesystems[0].source",
        "'create' is not allowed"),
    (USER % "uid: «-1", "os.users[0].uid", "-1 is out of range"),
    (USER % "sshMode: «allow", "os.users[0].sshMode", "'allow' is not allowed here"),
    (USER % "password: {type: «dangerous-plain-text}", "os.users[0].password.type",
        "… is not allowed here: use locked"),
    (USER % "startupCommand: «'/bin/sh:x'", "os.users[0].startupCommand",
        "'/bin/sh:x' may not be empty or contain ':'"),
    (USER % "sshPublicKeys: [«\"a\\nb\"]", "os.users[0].sshPublicKeys[0]", "an SSH public key is one line"),
    ("os: {users: [{name: «-x}]}", "os.users[0].name", "'-x' is not a name"),
    ("os: {users: [{name: «a:b}]}", "os.users[0].name", "'a:b' is not a name"),
    ("os: {hostname: «a b}", "os.hostname", "'a b' is not a host name"),
    (FILE % "content: a, permissions: «'644'", "os.additionalFiles[0].permissions", "'644' are not permissions"),
    (FILE % "content: a, permissions: «'01777'", "os.additionalFiles[0].permissions", "'01777' contains bits"),
    ("os: {modules: [{name: «../../x}]}", "os.modules[0].name", "'../../x' is not the name of a kernel module"),
    ("os: {modules: [{name: a, loadMode: «never}]}", "os.modules[0].loadMode", "'never' is not allowed here"),
    ("os: {kernelCommandLine: «{}}", "os.kernelCommandLine.extraCommandLine", "this key is required"),
    ("os: {uefiFallback: «none}", "os.uefiFallback", "'none' is not allowed here"),
    ("os: {«network: {version: 2}}", "os.network", "unknown key 'network'"),
    (EXTENSION.replace(HASH, "«ignored") % ("sysexts", "/etc/extensions/a.raw"), "os.sysexts[0].sha384",
        "'ignored' is not"),
    (NETPLAN % "ethernets: {a: {«dhcp5: true}}", "os.netplan.ethernets.a.dhcp5", "unknown key 'dhcp5'"),
    (NETPLAN % "ethernets: {a: {dhcp4: «maybe}}", "os.netplan.ethernets.a.dhcp4", "'maybe' is neither true nor false"),
    (NETPLAN % "ethernets: {a: {addresses: [b: {«labl: c}]}}", "os.netplan.ethernets.a.addresses[0].b.labl",
        "unknown key"),
    (NETPLAN % "ethernets: {a: {dhcp4-overrides: {use-domains: «routes}}}",
        "os.netplan.ethernets.a.dhcp4-overrides.use-domains", "'routes' is neither true nor false"),
    (NETPLAN % "«etherets: {}", "os.netplan.etherets", "unknown key 'etherets'"),
    (NETPLAN % "vlans: {a: {id: «5000}}", "os.netplan.vlans.a.id", "5000 is out of range"),
    ("scripts: {postConfigure: [{runOn: [«install], content: a}]}", "scripts.postConfigure[0].runOn[0]",
        "'install' is not"),
    ("health: {checks: [{«systemdService: [a], content: b}]}", "health.checks[0].systemdService", "unknown key"),
    ("health: {checks: [{systemdServices: [a], timeoutSeconds: «soon}]}", "health.checks[0].timeoutSeconds",
        "'soon' is not"),
]  # fmt: skip

CHECKS: list[tuple[str, str, str, str | None]] = [
    # text («: the place), key path, beginning of the message, the peer's name
    (STORAGE + "  encryption: {volumes: [], pcrs: [7, «0]}\n", "storage.encryption.pcrs[1]",
        "the PCR platform-code (0) is not supported", "unsupported-encryption-pcrs"),
    (OFF + FILE.replace("{d", "«{d", 1) % "permissions: '0644'", "os.additionalFiles[0]", "a file needs either",
        "additional-file-no-content-or-source"),
    (OFF + FILE % "content: '', source: «/b", "os.additionalFiles[0].source", "'content' and 'source' may not",
        "additional-file-both-content-and-source"),
    (OFF + IMAGE % "«'ftp://a/os.cosi'", "image.url", "images are not read from URLs with the scheme 'ftp'", None),
    (OFF + IMAGE % "«'ws://a/os.cosi'", "image.url", "images are not read from URLs with the scheme 'ws'", None),
    (OFF + IMAGE % "«'file://a/os.cosi'", "image.url", "a URL of a file has three slashes", None),
    (OFF + IMAGE % "«'file:os.cosi'", "image.url", "a URL of a file has three slashes", None),
    (OFF + IMAGE % "«'oci://A'", "image.url", "this is no reference of a registry", None),
    (OFF + EXTENSION.replace("'file:///x.raw'", "«'s3://a/b'") % ("confexts", "/usr/lib/confexts/a.raw"),
        "os.confexts[0].url", "images are not read from URLs with the scheme 's3'", None),
    (OFF + ADDRESSES % "192.0.2.1/24, «192.0.2.2", A + "[1]", "the address '192.0.2.2' has no prefix length", None),
    (OFF + ADDRESSES % "«'2001:db8::1'", A + "[0]", "the address '2001:db8::1' has no prefix length", None),
    (OFF + ADDRESSES % "«{192.0.2.1: {label: a}}", A + "[0]", "the address '192.0.2.1' has no prefix length", None),
    (OFF + ADDRESSES % "«192.0.2.1/33", A + "[0]", "'33' is not a prefix length", None),
    (OFF + ADDRESSES % "«192.0.2.1/255.255.255.0", A + "[0]", "'255.255.255.0' is not a prefix length", None),
    (OFF + ADDRESSES % "«192.0.2.1/", A + "[0]", "'' is not a prefix length", None),
    (OFF + ADDRESSES % "«'fe80::1%eth0/64'", A + "[0]", "'fe80::1%eth0' is not an IP address", None),
    (OFF + ADDRESSES % "«192.0.2/24", A + "[0]", "'192.0.2' is not an IP address", None),
    (OFF + ADDRESSES.replace("os", "managementOs") % "«192.0.2.1", "managementOs" + A[2:] + "[0]",
        "the address '192.0.2.1' has no prefix length", None),
    (OFF + "scripts: {preServicing: [«{name: a}]}", "scripts.preServicing[0]", "a script needs either", None),
    (OFF + "scripts: {preServicing: [{path: «a, content: b}]}", "scripts.preServicing[0].path",
        "'content' and 'path'", None),
    (OFF + "scripts: {postConfigure: [{path: «a}]}", "scripts.postConfigure[0].path", "the path of the script",
        "path-not-absolute"),
    (OFF + "health: {checks: [{timeoutSeconds: «1, content: a}]}", "health.checks[0].timeoutSeconds",
        "this key is only", None),
    (OFF + "health: {checks: [{systemdServices: [a], content: «a}]}", "health.checks[0].content",
        "this key is not allowed", None),
    (OFF + NETPLAN.replace("2", "«1") % "ethernets: {}", "os.netplan.version", "version 1 of",
        "invalid-netplan-version"),
    (OFF + NETPLAN % "renderer: «NetworkManager", "os.netplan.renderer", "the renderer",
        "unsupported-netplan-renderer"),
    (OFF + NETPLAN % "ethernets: {a: {renderer: «NetworkManager}}", "os.netplan.ethernets.a.renderer", "the renderer",
        "unsupported-netplan-renderer"),
    (OFF + NETPLAN % "bonds: {'en*': «{}}", "os.netplan.bonds.'en*'", "'en*' cannot be the id",
        "invalid-interface-name"),
    (OFF + EXTENSION % ("sysexts", "«/etc/extensions/a.img"), "os.sysexts[0].path",
        "the path '/etc/extensions/a.img' must",
        "extension-image-invalid-file-extension"),
    (OFF + EXTENSION % ("sysexts", "«/etc/extensions/b/a.raw"), "os.sysexts[0].path", "systemd does not look",
        "extension-image-invalid-directory"),
    (OFF + EXTENSION % ("confexts", "«/etc/extensions/a.raw"), "os.confexts[0].path", "systemd does not look",
        "extension-image-invalid-directory"),
    (OFF + f"os: {{sysexts: [{{url: 'file:/a', sha384: {HASH}}}, {{url: 'file:/b', sha384: «{HASH.upper()}}}]}}",
        "os.sysexts[1].sha384", "an extension with this hash", "duplicate-extension-image"),
    (OFF + f"os: {{sysexts: [{{url: 'file:/a', sha384: {HASH}, path: /etc/extensions/a.raw}}, "
        f"{{url: 'file:/b', sha384: {HASH[::-1]}, path: «/etc/extensions//a.raw}}]}}",
        "os.sysexts[1].path", "the path '/etc/extensions//a.raw' is already used", "duplicate-extension-image-path"),
    (STORAGE.replace("mountPoint: /}", "mountPoint: /}, {deviceId: x, type: «ext4, mountPoint: /x}"),
        "storage.filesystems[2].type",
        "a file system from the image", None),
    (STORAGE.replace("mountPoint: /}", "mountPoint: /}, {deviceId: x, source: new, type: «auto, mountPoint: /x}"),
        "storage.filesystems[2].type", "a file system with source new cannot", None),
    (STORAGE.replace("[]}", "[]}").replace("]}]\n", "], adoptedPartitions: [«{id: o}]}]\n"),
        "storage.disks[0].adoptedPartitions[0]",
        "an adopted partition needs either", "basic-check-failed"),
    ("«hostConfiguration: {}\nfoo: 1", "hostConfiguration", "this is the form of an old", "old-style-configuration"),
    ("«allowedOperations: [stage]", "allowedOperations", "this is no part", "allowed-operations-in-host-configuration"),
    ("os: «{hostname: a}", "trident.datastorePath", "the agent's database", "datastore-path-not-in-known-volume"),
    ("«{}", "trident.datastorePath", "the agent's database", "datastore-path-not-in-known-volume"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_a_wrong_value(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    found = problems_of(unmarked(text))
    assert [(problem.key, problem.message[: len(message)]) for problem in found if problem.key == key] == [
        (key, message)
    ]
    if "«" in text:
        assert_one_problem([problem for problem in found if problem.key == key], text, key, message)


@pytest.mark.parametrize(("text", "key", "message", "code"), CHECKS)
def test_what_does_not_go_together(
    problems_of: ProblemsOf, text: str, key: str, message: str, code: str | None
) -> None:
    found = [problem for problem in problems_of(unmarked(text)) if problem.key == key]
    assert [problem.code for problem in found] == [code]
    if not key.startswith("trident") and "'en*'" not in key:
        assert_one_problem(found, text, key, message)


def test_the_datastore_is_where_its_path_leads(config_of: ConfigOf) -> None:
    text = changed(FULL, "datastorePath: /var/lib/", "datastorePath: //var//lib/./")
    assert config_of(text).trident.datastore_path == "//var//lib/./trident/datastore.sqlite"


def test_text_in_quotes_is_no_switch(config_of: ConfigOf) -> None:
    text = OFF + "internalParams: {a: true, b: 'true', c: [1, '1'], d: ! 5, e: {f: \"0.5\"}}"
    params = config_of(text).internal_params
    assert params == {"a": True, "b": "true", "c": (1, "1"), "d": "5", "e": {"f": "0.5"}}
    assert not is_set(params, "b")


EMPTY = """\
os:
  netplan:
    version: 2
    ethernets:
      eth0:
      eth1:
        addresses: [192.0.2.1/24: ]
        routes:
          -
    dummy-devices: {dm0: }
    wifis: {wl: {access-points: {open: }}}
health:
  checks: [{name: x, systemdServices: , runOn: [all]}]
"""


def test_nothing_is_an_empty_object(config_of: ConfigOf) -> None:
    found = config_of(OFF + EMPTY)
    netplan = found.os.netplan
    assert netplan
    assert netplan.ethernets["eth0"] == Ethernet() and netplan.dummy_devices["dm0"] == Interface()
    assert netplan.wifis["wl"].access_points["open"] == AccessPoint()
    assert netplan.ethernets["eth1"].addresses == ({"192.0.2.1/24": AddressOptions()},)
    assert netplan.ethernets["eth1"].routes == (Route(),)
    assert found.health.checks[0].systemd_services == ()


def test_what_only_an_update_takes(problems_of: ProblemsOf) -> None:
    """The machine has the storage section; without an image, even an update asks for it."""
    (problem,) = problems_of(IMAGE % "'https://a/os.cosi'")
    assert problem.code == "datastore-path-not-in-known-volume"
    assert problem.hint is not None and "trident update does without it" in problem.hint
    (problem,) = problems_of("os: {hostname: a}")
    assert problem.hint == "add a file system for it, or set trident.disable: true"


@pytest.mark.parametrize(
    "text",
    [
        OFF,
        OFF + "os:\n",
        OFF + "os: {users: , hostname: ~, services: {enable: }, netplan: null}\n",
        OFF + "storage:\n  disks:\n  swap: []\n",
        OFF + "internalParams: {anything: {goes: [here]}, empty: }\n",
        OFF + "managementOs: {netplan: {version: 2}, users: [{name: a}, {name: a}]}\n",
        OFF + ADDRESSES % "0.0.0.0/0, 192.0.2.1/32, '2001:db8::1/128', '::/64', {'fe80::1/10': {lifetime: '0'}}",
        OFF + "health: {checks: [{systemdServices: [], runOn: [all]}, {path: relative.sh}]}\n",
        STORAGE.replace("size: 1G", "size: ' 1048576 '"),
        STORAGE + "  encryption: {volumes: , pcrs: }\n  abUpdate: {volumePairs: }\n",
        STORAGE.replace("partitionTableType", "adoptedPartitions: , partitionTableType"),
    ],
)
def test_right_texts(problems_of: ProblemsOf, text: str) -> None:
    assert problems_of(text) == []


@pytest.mark.parametrize(
    ("size", "expected"),
    [("4096", 4096), ("4K", 4 * KIB), ("'4 K'", 4 * KIB), ("1G", GIB), ("grow", "grow"), ("' 8G '", 8 * GIB)],
)
def test_sizes(config_of: ConfigOf, size: str, expected: object) -> None:
    assert config_of("storage:\n" + ESP_AND_ROOT % size).storage.disks[0].partitions[1].size == expected


@pytest.mark.parametrize(
    "user",
    [
        "{name: a, password: {type: dangerous-plain-text, value: hunter2}}",
        "{name: a, password: hunter2}",
        "{name: a, password: {type: locked, value: hunter2}}",
    ],
)
@pytest.mark.parametrize("where", ["os", "managementOs"])
def test_passwords_are_never_shown(problems_of: ProblemsOf, where: str, user: str) -> None:
    found = problems_of(f"{where}: {{users: [{user}]}}")
    assert found
    assert not any("hunter2" in problem_text(problem) for problem in found)


def test_passwords_of_networks_are_never_shown(problems_of: ProblemsOf) -> None:
    text = "os: {netplan: {version: 2, wifis: {w: {access-points: {net: {pasword: a, password: hunter2}}}}}}"
    found = problems_of(text)
    assert [problem.key for problem in found if "pasword" in problem.key] == [
        "os.netplan.wifis.w.access-points.net.pasword"
    ]
    assert not any("hunter2" in problem_text(problem) for problem in found)


def test_other_lines_are_shown(problems_of: ProblemsOf) -> None:
    text = OFF + "scripts: {preServicing: [{environmentVariables: {key: a}, conten: a}]}\n"
    assert {problem.text for problem in problems_of(text)} == {text.splitlines()[1]}


def test_an_image_alone_is_for_the_disks_that_there_are(tmp_path: Path) -> None:
    stored = parse_host_config(STORAGE, "stored.yaml").config
    path = tmp_path / "host.yaml"
    path.write_text("image: {url: 'http://a/', sha384: ignored}\nos: {hostname: a}\n")
    assert load_host_config(path, stored=stored).config.storage == stored.storage
    with pytest.raises(ConfigError, match="the agent's database"):
        load_host_config(path)
    path.write_text("os: {hostname: a}\n")
    with pytest.raises(ConfigError, match="the agent's database"):
        load_host_config(path, stored=stored)


def test_a_broken_required_key_at_the_second_level_hides_nothing_else(problems_of: ProblemsOf) -> None:
    text = "image: {url: nowhere, sha384: ignored}\nos: {users: [{name: a}, {name: a}]}\n"
    assert sorted(problem.key for problem in problems_of(text)) == [
        "image.url", "os.users[1].name", "trident.datastorePath",
    ]  # fmt: skip


def test_one_wrong_interface_hides_no_other(problems_of: ProblemsOf) -> None:
    text = OFF + NETPLAN % "ethernets: {a: {mtu: x}, b: {renderer: NetworkManager}}, bonds: {c: {renderer: NM}}"
    codes = {problem.key: problem.code for problem in problems_of(text)}
    assert codes["os.netplan.ethernets.a.mtu"] is None
