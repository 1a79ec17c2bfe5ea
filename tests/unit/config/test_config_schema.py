"""The exported JSON schemas: complete, and never stricter than the loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from twinroot.config.host.config import HostConfig
from twinroot.config.image.config import ImageConfig
from twinroot.config.schema import DRAFT, LANGUAGES, schema

EXAMPLES = Path(__file__).resolve().parents[3] / "docs/config-examples"
OTHER_LANGUAGES = {"inject-files.yaml": "inject-files", "package-list.yaml": "package-list"}

# Every key of Image Customizer's own schema.
PEER_KEYS = (
    "additionalDirs", "additionalFiles", "architecture", "arguments", "artifacts", "azureLinux", "baseConfigs",
    "bootType", "bootloader", "bootstrapBaseUrl", "bootstrapFileUrl", "btrfs", "childFilePermissions",
    "compression", "content", "corruptionOption", "cosi", "dataDevice", "dataDeviceId", "dataDeviceMountIdType",
    "destination", "deviceId", "disable", "disks", "enable", "end", "environmentVariables", "exclusiveLimit",
    "extraCommandLine", "filesystems", "finalizeCustomization", "format", "gid", "groups", "hashDevice",
    "hashDeviceId", "hashDeviceMountIdType", "hashSignaturePath", "homeDirectory", "hostname", "id", "idType",
    "image", "imageHistory", "initramfsType", "input", "install", "interpreter", "isInitrdOverlay", "iso", "items",
    "kdumpBootFiles", "kernelCommandLine", "label", "level", "loadMode", "lowerDirs", "maxSize",
    "mergedDirPermissions", "mode", "modules", "mountDependencies", "mountOptions", "mountPoint", "name",
    "newDirPermissions", "oci", "options", "os", "output", "overlays", "packages", "partitionTableType",
    "partitions", "password", "passwordExpiresDays", "path", "permissions", "platform", "postCustomization",
    "previewFeatures", "primaryGroup", "pxe", "quota", "referencedLimit", "reinitializeVerity", "remove",
    "removePackageManager", "resetPartitionsUuidsType", "resetType", "scripts", "secondaryGroups", "selinux",
    "selinuxPolicyPath", "services", "sha256hash", "sha256hashmap", "size", "snapshotTime", "source",
    "sshPublicKeyPaths", "sshPublicKeys", "start", "startupCommand", "storage", "subvolumes", "type", "uid", "uki",
    "update", "updateExistingPackages", "upperDir", "uri", "users", "value", "variant", "verity", "version",
    "workDir",
)  # fmt: skip

# Every key of the schema of host configurations. `Script` and `SystemdCheck` are in it too, but are names of kinds
# of health checks that nobody writes.
PEER_HOST_KEYS = (
    "abUpdate", "additionalFiles", "adoptedPartitions", "arguments", "checks", "clearTpmOnInstall", "confexts",
    "content", "corruptionOption", "dataDeviceId", "datastorePath", "destination", "device", "deviceId",
    "deviceName", "devices", "disable", "disks", "enable", "encryption", "environmentVariables",
    "extraCommandLine", "filesystems", "hashDeviceId", "health", "homeDirectory", "hostname", "id", "image",
    "interpreter", "kernelCommandLine", "label", "level", "loadMode", "logstream", "managementOs", "matchLabel",
    "matchUuid", "mode", "modules", "mountPoint", "name", "netplan", "options", "os", "overrideEspMount",
    "partitionTableType", "partitions", "password", "path", "pcrs", "permissions", "phonehome", "postConfigure",
    "postProvision", "preServicing", "primaryGroup", "raid", "recoveryKeyUrl", "runOn", "scripts",
    "secondaryGroups", "selinux", "services", "sha384", "size", "software", "source", "sshMode",
    "sshPublicKeys", "startupCommand", "storage", "swap", "syncTimeout", "sysexts", "systemdServices",
    "timeoutSeconds", "trident", "type", "uefiFallback", "uid", "url", "users", "uuid", "verity", "volumeAId",
    "volumeBId", "volumePairs", "volumes",
)  # fmt: skip


def keys_of(part: Any) -> set[str]:
    """Every key that objects of a schema may have."""
    if isinstance(part, list):
        return set().union(*map(keys_of, part))
    if not isinstance(part, dict):
        return set()
    own = part.get("properties", {})
    return set(own) | set().union(*map(keys_of, part.values()))


@pytest.mark.parametrize(("language", "keys"), [("image", PEER_KEYS), ("host", PEER_HOST_KEYS)])
def test_every_key_of_the_peer_is_known(language: str, keys: tuple[str, ...]) -> None:
    assert sorted(set(keys) - keys_of(schema(language))) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_schemas_are_right_and_tidy(language: str) -> None:
    found = schema(language)
    Draft202012Validator.check_schema(found)
    assert found["$schema"] == DRAFT
    assert found["additionalProperties"] is False
    for name, part in found.get("$defs", {}).items():
        assert "title" not in part, name


@pytest.mark.parametrize("language", ["image", "host"])
def test_every_key_has_a_description(language: str) -> None:
    found = schema(language)
    objects = [found, *found["$defs"].values(), *(o for d in found["$defs"].values() for o in d.get("anyOf", ()))]
    assert [
        key for each in objects for key, value in each.get("properties", {}).items() if not value.get("description")
    ] == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_satisfy_the_schema(path: Path) -> None:
    language = "host" if path.name.startswith("host-") else OTHER_LANGUAGES.get(path.name, "image")
    errors = list(Draft202012Validator(schema(language)).iter_errors(yaml.safe_load(path.read_text())))
    assert errors == []


@pytest.mark.parametrize(
    "text",
    [
        "os: {additionalFiles: [{destination: /a, content: 3.5, permissions: 0644}]}",
        "os: {additionalFiles: [{destination: /a, content: '', permissions: '0755'}]}",
        "os: {packages: {install: [3.0, vim], updateExistingPackages: yes}}",
        "os: {bootloader: {resetType: ''}, selinux: {mode: ''}, imageHistory: ''}",
        "os: {users: [{name: 1001, uid: 1001, password: {type: hashed, value: 5}}]}",
        "os: {modules: [{name: a, options: {b: '1'}}]}",
        "scripts: {postCustomization: [{content: a, arguments: [1, true], environmentVariables: {A: 1}}]}",
        "input: {image: {oci: example.com/a:1}}",
        "input: {image: {azureLinux: {variant: minimal-os, version: 3.0}}}",
        "os: {hostname: 123, kernelCommandLine: {extraCommandLine: [1]}}",
        "os: {modules: [{name: nbd, options: {nbds_max: 4}}]}",
        "os: {packages: {snapshotTime: '2025-10-28', install: [true]}}",
        "storage: {disks: [{partitionTableType: gpt, maxSize: 1G, partitions: [{id: 1, label: 2, size: 1M}]}]}",
        "input: {image: {oci: {uri: example.com/a:1, platform: linux/amd64}}}",
        "storage: {filesystems: [{deviceId: 1, type: ext4, mountPoint: /}]}",
    ],
)
def test_the_schema_is_not_stricter_than_the_loader(text: str) -> None:
    values = yaml.safe_load(text)
    assert list(Draft202012Validator(schema("image")).iter_errors(values)) == []
    assert ImageConfig.model_validate(yaml.load(text, Loader=yaml.BaseLoader), by_alias=True) is not None


@pytest.mark.parametrize(
    "text",
    [
        "storage: {swap: [a, {deviceId: b}], filesystems: [{deviceId: a, mountPoint: /}]}",
        "storage: {disks: [{id: 1, device: /d, partitionTableType: gpt, partitions: [{id: a, size: 4096}]}]}",
        "storage: {encryption: {volumes: [], pcrs: [7, kernel-boot]}}",
        "os: {netplan: {version: 2, ethernets: {a: {addresses: [10.0.0.1/8, {10.0.0.2/8: {label: b}}]}}}}",
        "os: {netplan: {version: 2, ethernets: {a: {match: {driver: [b, c]}}, d: {match: {driver: e}}}}}",
        "internalParams: {uki: true, veritySignaturePaths: {a: /b}, other: 1.5}",
        "health: {checks: [{systemdServices: [a]}, {content: b}]}",
    ],
)
def test_the_schema_of_host_configurations_is_not_stricter_than_the_loader(text: str) -> None:
    assert list(Draft202012Validator(schema("host")).iter_errors(yaml.safe_load(text))) == []
    assert HostConfig.model_validate(yaml.load(text, Loader=yaml.BaseLoader), by_alias=True) is not None


@pytest.mark.parametrize(
    "text",
    [
        "ostrich: 1",
        "os: {bootloader: {resetType: soft}}",
        "storage: {bootType: bios}",
        "storage: {disks: [{partitionTableType: mbr}]}",
        "output: {artifacts: {path: a, items: []}}",
        "os: {overlays: [{mountPoint: etc, upperDir: /a, workDir: /b}]}",
        "os: {users: [{name: a, uid: 70000}]}",
    ],
)
def test_the_schema_finds_mistakes(text: str) -> None:
    assert list(Draft202012Validator(schema("image")).iter_errors(yaml.safe_load(text))) != []
