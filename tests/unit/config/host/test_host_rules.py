"""Each rule between the objects of a host configuration, broken once: its place, its name, and nothing besides."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.config.host.texts import FULL, SMALL, changed
from tests.unit.config.marked import places, unmarked

from twinroot.errors import Problem

ProblemsOf = Callable[[str], list[Problem]]

S = "storage"
F = "storage.filesystems"
EDGE = "invalid-reference-kind"
WRONG = "non-existent-reference"
RULES: list[tuple[str, str, str, str]] = [
    # what to change, to what («: the place), the key path, the peer's name of the error
    # ids and names
    ("id: spare2,", "id: «spare,", f"{S}.disks[1].partitions[1].id", "duplicate-device-id"),
    ("{id: mirror, name: mirror,", "{id: «first, name: mirror,", f"{S}.raid.software[1].id", "duplicate-device-id"),
    ("by-path/second", "by-path/first", "", "unique-field-constraint-error"),
    ("/dev/disk/by-path/second", "/dev//disk/./by-path/first", "", "unique-field-constraint-error"),
    ("000000000002}", "000000000001}", "", "unique-field-constraint-error"),
    ("id: mirror, name: mirror", "id: mirror, name: «esp", f"{S}.raid.software[1].name",
        "unique-field-constraint-error"),
    ("luks-swap", "«luks-safe", f"{S}.encryption.volumes[1].deviceName", "unique-field-constraint-error"),
    ("matchUuid: 2f1e0c3a-0000-4000-8000-000000000003", "matchLabel: «old",
        f"{S}.disks[2].adoptedPartitions[1].matchLabel",
        "unique-field-constraint-error"),
    # mount points
    ("/mnt/memory", "«/srv/", f"{F}[10].mountPoint", "duplicate-mount-point"),
    ("- {source: new, type: tmpfs, mountPoint: /mnt/memory}",
        "- «{source: image, deviceId: spare3, overrideEspMount: override, mountPoint: /mnt/e}", f"{F}[10]",
        "filesystem-esp-multiple"),
    # references
    ("swap: [swap1,", "swap: [«swap,", f"{S}.swap[0]", WRONG),
    ("swap: [swap1,", "swap: [«first,", f"{S}.swap[0]", EDGE),
    ("swap: [swap1,", "swap: [state,", "", "referrer-forbidden-sharing"),
    ("devices: [spare, spare2]", "devices: [spare, «spare]", f"{S}.raid.software[1].devices[1]", "duplicate-target-id"),
    ("devices: [spare, spare2]", "devices: «[spare]", f"{S}.raid.software[1].devices", "invalid-target-count"),
    ("devices: [spare, spare2]", "devices: [spare, «older]", f"{S}.raid.software[1].devices[1]", EDGE),
    ("volumeBId: etc-b", "volumeBId: «older", f"{S}.abUpdate.volumePairs[3].volumeBId", EDGE),
    ("deviceId: rest}", "deviceId: «older}", f"{S}.encryption.volumes[0].deviceId", EDGE),
    ("deviceId: old, source: adopted", "deviceId: «mirror2, source: adopted", f"{F}[9].deviceId", WRONG),
    ("deviceId: old, source: adopted, type: auto", "deviceId: «older, source: new", f"{F}[9].deviceId", EDGE),
    ("hashDeviceId: hash}", "hashDeviceId: «safe}", "", "invalid-special-reference-kind"),
    ("volumeBId: etc-b", "volumeBId: «mirror", "", "reference-kind-mismatch"),
    # sizes and types
    ("volumeBId: etc-b", "volumeBId: «rest", "", "partition-size-not-fixed"),
    ("{id: etc-b, size: 128M}", "{id: etc-b, size: 132M}", f"{S}.abUpdate.volumePairs[3].volumeBId",
        "partition-size-mismatch"),
    ("{id: etc-b, size: 128M}", "{id: etc-b, size: grow}", f"{S}.abUpdate.volumePairs[3].volumeBId",
        "partition-size-not-fixed"),
    ("id: spare2, size: 1G", "id: spare2, size: 2G", f"{S}.raid.software[1].devices[1]", "partition-size-mismatch"),
    ("{id: etc-b, size: 128M}", "{id: etc-b, type: srv, size: 128M}", f"{S}.abUpdate.volumePairs[3].volumeBId",
        "partition-type-mismatch"),
    ("id: spare2, size: 1G", "id: spare2, type: var, size: 1G", f"{S}.raid.software[1].devices[1]",
        "partition-type-mismatch"),
    ("{id: swap1, type: swap, size", "{id: swap1, size", f"{S}.swap[0]", "invalid-partition-type"),
    ("{id: swap2, type: swap, size", "{id: swap2, type: srv, size", f"{S}.swap[1].deviceId", "invalid-partition-type"),
    ("{id: rest, size: grow}", "{id: rest, type: home, size: grow}", f"{S}.encryption.volumes[0].deviceId",
        "invalid-partition-type"),
    ("{id: state, size: 1G}", "{id: state, type: esp, size: 1G}", f"{F}[5].deviceId", "invalid-partition-type"),
    ("{id: state, size: 1G}", "{id: state, type: C12A7328-F81F-11D2-BA4B-00A0C93EC93B, size: 1G}", f"{F}[5].deviceId",
        "invalid-partition-type"),
    ("name: esp, level: raid1", "name: esp, level: raid0", f"{F}[0].deviceId", "invalid-raidlevel"),
    # what a machine needs
    ("mountPoint: {path: /boot/efi, options: umask=0077}", "mountPoint: /efi, source: new", "",
        "esp-mount-point-not-found"),
    ("{deviceId: boot, mountPoint: /boot}", "{deviceId: boot, source: «new, mountPoint: /boot}", f"{F}[1].source",
        "mount-point-not-backed-by-image"),
    ("{deviceId: esp, mountPoint", "{deviceId: esp, source: «new, mountPoint", f"{F}[0].source",
        "mount-point-not-backed-by-image"),
    ("mountPoint: /var/tmp}", "mountPoint: {path: /var/tmp, options: «ro}}", f"{F}[6].mountPoint.options",
        "var-tmp-on-read-only-volume"),
    # a read-only root
    ("mountPoint: /boot}", "mountPoint: /mnt/boot}", f"{F}", "expected-mount-point-not-found"),
    ("options: 'defaults,ro'", "options: «'defaults'", f"{F}[2].mountPoint.options",
        "verity-device-mounted-read-write"),
    ("{id: root, name: root,", "{id: root, name: «system,", f"{S}.verity[0].name", "verity-device-name-invalid"),
    ("{deviceId: etc, source: new, mountPoint: /var/lib/trident-overlay}",
        "{deviceId: etc, source: new, mountPoint: /mnt/etc}", f"{F}[2]", "overlay-on-verity-protected-volume"),
    ("mountPoint: /var/lib/trident-overlay}", "mountPoint: {path: /var/lib/trident-overlay, options: «ro}}",
        f"{F}[3].mountPoint.options", "overlay-on-read-only-volume"),
    ("{deviceId: etc, source: new, mountPoint: /var/lib/trident-overlay}",
        "«{type: tmpfs, source: new, mountPoint: /var/lib/trident-overlay}", f"{F}[3]",
        "mount-point-not-backed-by-block-device"),
    ("{deviceId: etc, source: new, mountPoint: /var/lib/trident-overlay}",
        "{deviceId: etc, source: new, mountPoint: /mnt/etc}\n"
        "    - «{deviceId: older, source: adopted, mountPoint: /var/lib/trident-overlay}", f"{F}[4]",
        "mount-point-not-backed-by-ab-update-volume-pair"),
    ("mountPoint: /mnt/mirror", "mountPoint: /var/lib/trident-overlay/etc", "", ""),
    ("httpConnectionTimeoutSeconds: 20", "selfUpgradeTrident: «true", "internalParams.selfUpgradeTrident",
        "self-upgrade-on-read-only-root-verity-fs"),
    # the database
    ("datastore.sqlite", "datastore.db", "trident.datastorePath", "datastore-path-invalid-extension"),
    ("datastorePath: /var/lib/trident/", "datastorePath: /mnt/memory/", "trident.datastorePath",
        "datastore-path-not-in-known-volume"),
    ("datastorePath: /var/lib/trident/", "datastorePath: «//boot//", "trident.datastorePath",
        "datastore-path-in-a-b-update-volume"),
    ("datastorePath: /var/lib/trident/", "datastorePath: «/boot/", "trident.datastorePath",
        "datastore-path-in-a-b-update-volume"),
    ("datastorePath: /var/lib/trident/", "datastorePath: «/opt/", "trident.datastorePath",
        "datastore-path-not-in-known-volume"),
    # os
    ("- {name: ops,", "- {name: ops}\n    - {name: «ops,", "os.users[1].name", "duplicate-usernames"),
    ("{deviceId: ext, source: new, mountPoint: /var/lib/extensions}",
        "{deviceId: ext, source: new, mountPoint: /mnt/ext}\n"
        "    - {deviceId: older, source: adopted, mountPoint: /var/lib/extensions}", "os.sysexts[0]",
        "extension-image-not-on-a-b-volume"),
    ("mountPoint: /var/lib/extensions", "mountPoint: /mnt/extensions", "", ""),  # on /, which is on a pair
    ("path: /opt/before.sh", "path: /opt/before.sh}\n  postProvision:\n    - {path: «run.sh",
        "scripts.postProvision[0].path",
        "path-not-absolute"),
]  # fmt: skip


def test_the_text_without_changes_is_right(problems_of: ProblemsOf) -> None:
    assert problems_of(FULL) == []
    assert problems_of(SMALL) == []


V = f"{S}.verity[0]"
SMALL_RULES: list[tuple[str, str, str, str]] = [
    ("type: usr, size", "type: linux-generic, size", "", ""),
    ("type: usr, size", "type: 5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6, size", "", ""),
    ("type: usr, size", "type: home, size", f"{V}.dataDeviceId", "invalid-partition-type-special"),
    ("type: usr-verity", "type: usr", f"{V}.hashDeviceId", "invalid-partition-type-special"),
    ("type: usr-verity", "type: root-verity", f"{V}.hashDeviceId", "invalid-verity-hash-partition-type"),
    ("type: usr-verity", "type: linux-generic", f"{V}.hashDeviceId", "invalid-verity-hash-partition-type"),
    ("name: usr,", "name: «root,", f"{V}.name", "verity-device-name-invalid"),
    ("mountPoint: {path: /usr, options: ro}", "mountPoint: {path: «/opt, options: ro}", f"{F}[2].mountPoint.path",
        "unsupported-verity-devices"),
    ("mountPoint: {path: /usr, options: ro}", "mountPoint: «/usr", f"{F}[2].mountPoint",
        "verity-device-mounted-read-write"),
    (", mountPoint: {path: /usr, options: ro}", "", f"{F}[2]", "verity-filesystem-without-mount-point"),
    ("{deviceId: usr,", "{deviceId: other,", V, "unsupported-verity-devices"),
    ("{deviceId: usr,", "{deviceId: usr-data,", V, "unsupported-verity-devices"),
    ("  filesystems:", "    - «{id: two, name: two, dataDeviceId: other, hashDeviceId: system}\n  filesystems:",
        f"{S}.verity[1]",
        "unsupported-verity-devices"),
    ("mountPoint: /}", "mountPoint: /mnt}", F, "expected-mount-point-not-found"),
    ("mountPoint: /}", "source: «new, mountPoint: /}", f"{F}[1].source", "mount-point-not-backed-by-image"),
    ("type: esp,", "type: xbootldr,", f"{F}[0].deviceId", "invalid-partition-type"),
    ("mountPoint: /boot/efi", "mountPoint: /boot/efi, overrideEspMount: block", F, "esp-mount-point-not-found"),
    ("mountPoint: /boot/efi", "mountPoint: /efi, overrideEspMount: override", "", ""),
    ("{deviceId: esp, mountPoint: /boot/efi}", "«{deviceId: esp, overrideEspMount: override}", f"{F}[0]",
        "filesystem-esp-without-mount-point"),
    ("{deviceId: system, mountPoint", "«{mountPoint", f"{F}[1]", "filesystem-missing-block-device-id"),
    ("{deviceId: usr, mountPoint", "{type: tmpfs, source: new, deviceId: «other, mountPoint", f"{F}[2].deviceId",
        "filesystem-unexpected-block-device-id"),
    ("{deviceId: usr, mountPoint: {path: /usr, options: ro}}", "«{type: tmpfs, source: new}", f"{F}[2]",
        "filesystem-missing-mount-point"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("base", "old", "new", "key", "code"),
    [*((FULL, *each) for each in RULES), *((SMALL, *each) for each in SMALL_RULES)],
)
def test_a_broken_rule(problems_of: ProblemsOf, base: str, old: str, new: str, key: str, code: str) -> None:
    text = changed(base, old, new)
    found = problems_of(unmarked(text))
    if not code:
        assert found == []
        return
    assert code in [problem.code for problem in found]
    if key:
        assert [(problem.key, problem.code) for problem in found if problem.code == code] == [(key, code)]
    if "«" in text:
        assert places(text)[0] in [(problem.line, problem.column) for problem in found if problem.code == code]
