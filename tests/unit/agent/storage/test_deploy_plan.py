"""Which image goes where, what an image must be like for a configuration, mounts in path order, and fstab."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.config.host.texts import FULL, SMALL

from twinroot.agent.errors import ServicingError
from twinroot.agent.host_status import AbVolume
from twinroot.agent.states import ServicingType
from twinroot.agent.storage.deploy_plan import fstab, plan_deployment, plan_mounts
from twinroot.agent.storage.devices import Devices, update_volume
from twinroot.agent.storage.image_checks import image_problems, shared_boot
from twinroot.config.host.storage import Storage
from twinroot.config.load_host import parse_host_config
from twinroot.formats.cosi.model import Filesystem, ImageFile, Metadata, Verity
from twinroot.units import ESP, LINUX_GENERIC, MIB

INSTALL, UPDATE = ServicingType.CLEAN_INSTALL, ServicingType.AB_UPDATE


def devices_of(text: str, volume: AbVolume = "volume-a") -> Devices:
    storage = parse_host_config(text, "host.yaml").config.storage
    disks = storage.disks
    ids = [each.id for disk in disks for each in disk.partitions]
    ids += [each.id for disk in disks for each in disk.adopted_partitions]
    return Devices(storage, {name: f"/dev/disk/by-partuuid/{name}" for name in ids}, volume)


def image_file(name: str, size: int = MIB) -> ImageFile:
    return ImageFile(f"images/{name}.zst", 10, size, "ab" * 48)


def image(*mounts: str, verity: str = "") -> Metadata:
    """An image with these filesystems; that at `verity` has hashes."""
    found = []
    for number, path in enumerate(mounts):
        esp = path == "/boot/efi"
        name = path.strip("/").replace("/", "-") or "root"
        hashes = Verity(image_file(f"{name}-hash"), "cd" * 32) if path == verity else None
        kind, part = ("vfat", ESP) if esp else ("ext4", LINUX_GENERIC)
        found.append(Filesystem(image_file(name), path, kind, f"uuid-{number}", part, hashes))
    return Metadata((1, 2), "x86_64", "ID=test\n", tuple(found))


FULL_IMAGE = image("/boot/efi", "/boot", "/", verity="/")
SMALL_IMAGE = image("/usr", "/", "/boot/efi", verity="/usr")


@pytest.mark.parametrize(("kind", "volume", "half"), [(INSTALL, "volume-a", "a"), (UPDATE, "volume-b", "b")])
def test_images_go_to_the_half_that_is_written(kind: ServicingType, volume: AbVolume, half: str) -> None:
    plan = plan_deployment(devices_of(FULL, volume), FULL_IMAGE, kind)
    assert [(each.image.path, each.target.name, each.grow) for each in plan.images] == [
        ("images/boot.zst", f"boot-{half}", True),
        ("images/root.zst", f"data-{half}", False),
        ("images/root-hash.zst", f"hash-{half}", False),
    ]
    assert [(each.name, each.data.name, each.hashes.name, each.root_hash) for each in plan.verity] == [
        ("root_new", f"data-{half}", f"hash-{half}", "cd" * 32)
    ]
    made = [(str(each.target.name), each.type) for each in plan.filesystems]
    pairs = [(f"etc-{half}", "ext4"), (f"ext-{half}", "ext4")]
    alone = [("state", "xfs"), ("temporary", "ext4"), ("luks-safe", "ext4"), ("mirror", "ext4")]
    assert made == ([("esp", "vfat"), *pairs, *alone] if kind is INSTALL else pairs)
    assert [path.name for path in plan.swaps] == (["swap1", "luks-swap"] if kind is INSTALL else [])


def test_an_update_never_names_a_device_of_the_running_half() -> None:
    plan = plan_deployment(devices_of(FULL, "volume-b"), FULL_IMAGE, UPDATE)
    names = {each.target.name for each in plan.images} | {each.target.name for each in plan.filesystems}
    assert names and all(name.endswith("-b") for name in names)


@pytest.mark.parametrize(
    ("kind", "active", "volume"),
    [(INSTALL, None, "volume-a"), (INSTALL, "volume-a", "volume-a"), (UPDATE, "volume-a", "volume-b"),
     (UPDATE, "volume-b", "volume-a"), (UPDATE, None, "volume-a")],
)  # fmt: skip
def test_the_half_that_is_written(kind: ServicingType, active: AbVolume | None, volume: AbVolume) -> None:
    assert update_volume(kind, active) == volume


def names(text: str, found: Metadata, kind: ServicingType = INSTALL, active: dict[str, str] | None = None) -> set[str]:
    return {problem.name for problem in image_problems(devices_of(text), found, kind, active or {})}


def changed(found: Metadata, at: int, **fields: object) -> Metadata:
    images = list(found.images)
    images[at] = replace(images[at], **fields)  # type: ignore[arg-type]
    return replace(found, images=tuple(images))


HALVES = """
storage:
  disks:
    - id: os
      device: /dev/vda
      partitionTableType: gpt
      partitions:
        - {id: esp, type: esp, size: 64M}
        - {id: boot, type: xbootldr, size: 256M}
        - {id: boot2, type: xbootldr, size: 256M}
        - {id: root-a, type: root, size: 2G}
        - {id: root-b, type: root, size: 2G}
        - {id: trident, type: linux-generic, size: 100M}
  abUpdate: {volumePairs: [{id: root, volumeAId: root-a, volumeBId: root-b}MORE]}
  filesystems:
    - {deviceId: esp, mountPoint: /boot/efi}
    - {deviceId: BOOT, mountPoint: /boot}
    - {deviceId: root, mountPoint: /}
    - {deviceId: trident, source: new, mountPoint: /var/lib/trident}
"""


def test_a_boot_that_both_halves_would_share() -> None:
    """From which grub starts the half that runs."""
    assert shared_boot(devices_of(HALVES.replace("MORE", "").replace("BOOT", "boot"))) == "/boot"
    pair = ", {id: boots, volumeAId: boot, volumeBId: boot2}"
    assert shared_boot(devices_of(HALVES.replace("MORE", pair).replace("BOOT", "boots"))) is None
    assert shared_boot(devices_of(FULL)) is None and shared_boot(devices_of(SMALL)) is None


def test_images_that_fit() -> None:
    assert names(FULL, FULL_IMAGE) == set() and names(SMALL, SMALL_IMAGE) == set()
    assert names(FULL, FULL_IMAGE, UPDATE, {"/boot": "other"}) == set()


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (image("/boot/efi", "/boot", "/", "/srv", verity="/"), "unused-os-image-filesystem"),
        (image("/boot/efi", "/", verity="/"), "missing-os-image-filesystem"),
        (image("/boot/efi", "/boot", "/"), "verity-mismatch"),
        (image("/boot/efi", "/boot", "/", verity="/boot"), "verity-mismatch"),
        (changed(FULL_IMAGE, 2, verity=Verity(image_file("root"), "cd" * 32)), "verity-mismatch"),
        (changed(FULL_IMAGE, 2, fs_uuid="UUID-1"), "duplicate-fs-uuid"),
        (changed(FULL_IMAGE, 1, fs_type="xfs"), "unsupported-boot-file-system-type"),
        (changed(FULL_IMAGE, 1, image=image_file("boot", 513 * MIB)), "filesystem-size-exceeds-block-device"),
        (changed(FULL_IMAGE, 1, mount_point="boot"), "unused-os-image-filesystem"),
        (changed(FULL_IMAGE, 1, mount_point=""), "unused-os-image-filesystem"),
        (changed(FULL_IMAGE, 0, mount_point="/efi"), "esp-mount-point-mismatch"),
        (changed(FULL_IMAGE, 0, verity=Verity(image_file("x"), "00")), "unexpected-verity-on-esp"),
    ],
)
def test_images_that_do_not(found: Metadata, name: str) -> None:
    assert name in names(FULL, found)


def test_an_image_with_the_uuid_of_what_runs() -> None:
    assert names(FULL, FULL_IMAGE, UPDATE, {"/boot": "UUID-1"}) == {"duplicate-fs-uuid-ab-update"}


def test_mounts_come_behind_what_they_lie_in() -> None:
    steps = plan_mounts(devices_of(FULL), FULL_IMAGE)
    shown = [(step.path, step.source.rpartition("/")[2], step.type) for step in steps]
    assert shown[:3] == [("/", "root_new", "ext4"), ("/boot", "boot-a", "ext4"), ("/boot/efi", "esp", "vfat")]
    assert ("/tmp", "tmpfs", "tmpfs") in shown and ("/mnt/memory", "tmpfs", "tmpfs") in shown


def test_without_the_image_nothing_lies_on_what_nobody_can_open() -> None:
    steps = {step.path: step.source for step in plan_mounts(devices_of(FULL), None)}
    assert steps["/"] == "tmpfs" and steps["/boot"].endswith("boot-a")
    assert "/usr" not in {step.path for step in plan_mounts(devices_of(SMALL), None)}


PATHS = st.lists(st.lists(st.sampled_from(["a", "b", "a-b", "a b".replace(" ", "."), "tmp"]), max_size=4), max_size=8)


@given(PATHS)
def test_any_mounts_are_in_order(paths: list[list[str]]) -> None:
    unique = sorted({"/" + "/".join(path) for path in paths}, reverse=True)
    found = [{"source": "new", "type": "tmpfs", "mountPoint": path} for path in unique]
    storage = Storage.model_validate({"filesystems": found})
    steps = [step.path for step in plan_mounts(Devices(storage, {}, "volume-a"), image())]
    assert len(steps) == len(set(steps)) and set(steps) == {*unique, "/tmp", "/run"}
    for number, path in enumerate(steps):
        assert not any(path != "/" and (later + "/").startswith(path + "/") for later in steps[:number])
        assert path != "/" or number == 0


def test_fstab() -> None:
    assert fstab(devices_of(FULL, "volume-b"), FULL_IMAGE).splitlines() == [
        "/dev/md/esp /boot/efi vfat umask=0077 0 2",
        "/dev/disk/by-partuuid/boot-b /boot ext4 defaults 0 2",
        "# Mounted by the initramfs, as dm-verity protects it: /dev/mapper/root / ext4 defaults,ro 0 1",
        "/dev/disk/by-partuuid/etc-b /var/lib/trident-overlay ext4 defaults 0 2",
        "/dev/disk/by-partuuid/ext-b /var/lib/extensions ext4 defaults 0 2",
        "/dev/disk/by-partuuid/state /var/lib/trident xfs defaults 0 2",
        "/dev/disk/by-partuuid/temporary /var/tmp ext4 defaults 0 2",
        "/dev/mapper/luks-safe /srv ext4 defaults 0 2",
        "/dev/md/mirror /mnt/mirror ext4 defaults 0 2",
        "/dev/disk/by-partuuid/old /mnt/old auto defaults 0 2",
        "tmpfs /mnt/memory tmpfs defaults 0 2",
        "overlay /etc overlay lowerdir=/etc,upperdir=/var/lib/trident-overlay/etc/upper,"
        "workdir=/var/lib/trident-overlay/etc/work,ro 0 2",
        "/dev/disk/by-partuuid/swap1 none swap sw 0 0",
        "/dev/mapper/luks-swap none swap sw 0 0",
    ]


def test_a_partition_that_nobody_knows() -> None:
    devices = replace(devices_of(SMALL), partition_paths={})
    with pytest.raises(ServicingError, match="does not know where partition esp is"):
        plan_deployment(devices, SMALL_IMAGE, INSTALL)
