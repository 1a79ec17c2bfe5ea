"""grub: resetting it, and having the image write its own grub.cfg.

Facts: image behaviour spec §16. Texts are made by pure functions; `hard_reset` puts them into the tree and runs the
image's grub-mkconfig. Editing a configuration that stays: `kernel_arguments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinroot.boot import entry_file, grub_bios, grub_probe, grub_script
from twinroot.boot.command_line import KERNEL_OPTIONS, in_double_quotes, join_arguments, unquoted
from twinroot.boot.grub_bios import BiosBoot
from twinroot.boot.grub_efi import make_plain_grub, on_fat, provide_plain_grub
from twinroot.distro.distro import GrubFacts
from twinroot.errors import InputError
from twinroot.plan.disk import PlacedMount, PlannedDisk, mount_path
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.mounts import Mounts
from twinroot.sandbox.paths import place_file, read_text, resolve_inside
from twinroot.storage.filesystems import check_fat_tree
from twinroot.storage.fstab import source

DEFAULT_GRUB = "/etc/default/grub"
_GRUBENV = "# GRUB Environment Block\n".ljust(1024, "#")
_PROBES = ("grub2-probe", "grub-probe")
_RELATIVE_PATHS = ("grub2-mkrelpath", "grub-mkrelpath")


@dataclass(frozen=True)
class Arguments:
    """Kernel arguments: those of every menu entry before the distribution's own, and those that rescue does without."""

    every: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()


def command_lines(facts: GrubFacts, arguments: Arguments) -> tuple[str, str]:
    """What a fresh configuration gives to every entry, and what further to all but rescue entries."""
    every = join_arguments((*arguments.every, *facts.command_line))
    usual = " ".join([*facts.default_command_line, *filter(None, [join_arguments(arguments.usual)])])
    return every, usual


def render_default_grub(facts: GrubFacts, arguments: Arguments) -> str:
    """A fresh /etc/default/grub with the distribution's settings and the configured arguments."""
    every, usual = command_lines(facts, arguments)
    default = f"{usual} {KERNEL_OPTIONS}".strip() if facts.kernelopts else usual
    lines = [
        f"GRUB_TIMEOUT={facts.timeout}",
        *facts.lines,
        f"GRUB_CMDLINE_LINUX={in_double_quotes(every)}",
        f"GRUB_CMDLINE_LINUX_DEFAULT={in_double_quotes(default)}",
    ]
    text = "\n".join(lines) + "\n"
    if facts.sources_snippets:
        # grub-mkconfig ends at the first failure, so that not even the last test may fail.
        text += '\nfor snippet in /etc/default/grub.d/*.cfg; do\n  if [ -e "$snippet" ]; then . "$snippet"; fi\ndone\n'
    return text


def render_stub(boot: PlacedMount, facts: GrubFacts) -> str:
    """The first configuration, on the ESP: find the filesystem that holds /boot and go on there."""
    filesystem = boot.partition.filesystem
    assert filesystem is not None
    prefix = boot.inner(facts.directory)
    return (
        f"search --no-floppy --fs-uuid --set=root {filesystem.uuid}\n"
        f'set prefix=($root)"{prefix}"\n'
        "configfile $prefix/grub.cfg\n"
    )


def hard_reset(chroot: Chroot, disk: PlannedDisk, facts: GrubFacts, arguments: Arguments) -> BiosBoot | None:
    """Replace everything anybody configured in grub by a configuration for the planned disk.

    On a disk for BIOS machines, returns what has to be written outside of filesystems.
    """
    root = chroot.root
    bios = grub_bios.install(chroot, disk, facts) if disk.bios_boot else None
    if bios is None:
        esp = resolve_inside(root, _esp_path(disk))
        # Links in it would lead out of the image, and cannot be stored there.
        check_fat_tree(esp, _esp_path(disk))
        make_plain_grub(chroot, esp, disk, facts)
        _write_stubs(esp, render_stub(disk.mount_of(facts.directory), facts), facts)
    place_file(root, DEFAULT_GRUB, render_default_grub(facts, arguments), follow=True)
    place_file(root, f"{facts.directory}/grubenv", _GRUBENV)
    write_configuration(chroot, disk, facts)
    if grub_script.uses_entry_files(read_text(root, facts.config) or ""):
        _reset_entries(root, disk, facts, arguments)
    check_arrived(root, facts, (*arguments.every, *arguments.usual))
    if bios:
        grub_bios.close(root, facts.directory)
    return bios


def _reset_entries(root: Path, disk: PlannedDisk, facts: GrubFacts, arguments: Arguments) -> None:
    """Entry files for the planned disk: what they say of the root file system, of /boot and of arguments is old."""
    system, boot = disk.holding("/"), disk.holding("/boot")
    assert system.filesystem is not None and system.filesystem.mount is not None
    every, usual = command_lines(facts, arguments)
    line = f"root={source(system, system.filesystem.mount.id_type)} ro {every}".strip()
    directory = "/boot"[len(mount_path(boot).rstrip("/")) :] or "/"
    for path, text in read_entries(root).items():
        wanted = line if entry_file.is_recovery(path, text) else f"{line} {usual}".strip()
        place_file(root, path, entry_file.move_files(entry_file.set_options(text, wanted), directory), follow=True)


def read_entries(root: Path) -> dict[str, str]:
    """The entry files of /boot/loader/entries by their paths in the image, sorted by name."""
    directory = resolve_inside(root, entry_file.ENTRIES)
    names = sorted(path.name for path in directory.glob("*.conf")) if directory.is_dir() else []
    found = {f"{entry_file.ENTRIES}/{name}": read_text(root, f"{entry_file.ENTRIES}/{name}") for name in names}
    return {path: text for path, text in found.items() if text is not None}


def check_arrived(root: Path, facts: GrubFacts, arguments: Sequence[str]) -> None:
    """InputError when no kernel in grub.cfg gets an argument: grub-mkconfig may have been told otherwise.

    Arguments that grub expands are not looked for.
    """
    lines = [line for line in grub_script.kernel_lines(read_text(root, facts.config) or "") if not line.recovery]
    there = {word.value for line in lines for word in line.arguments}
    lost = [name for name in arguments if not set("$`\\'") & set(name) and unquoted(name) not in there]
    if lines and lost:
        raise InputError(
            f"the kernel argument '{lost[0]}' does not get into {facts.config}: another file of the image, such as one "
            "in /etc/default/grub.d, decides over the kernel command line",
            hint="remove that file from the base image, or the assignment of GRUB_CMDLINE_LINUX in it",
        )


def write_configuration(chroot: Chroot, disk: PlannedDisk, facts: GrubFacts) -> None:
    """Run the image's grub-mkconfig, with answers about the planned disk in place of its grub-probe."""
    if not chroot.has(facts.mkconfig):
        raise InputError(
            f"the image has no {facts.mkconfig}, so its boot configuration cannot be written",
            hint="install the grub tools: " + ("grub2" if "grub2" in facts.mkconfig else "grub-common"),
        )
    covers = [(_PROBES, grub_probe.script(disk))]
    if any(placed.subvolume for placed in disk.mounts):
        covers.append((_RELATIVE_PATHS, grub_probe.relative_path_script(disk)))
    with Mounts() as mounts:
        for programs, text in covers:
            answers = chroot.root / "run/twinroot" / programs[-1]
            answers.parent.mkdir(parents=True, exist_ok=True)
            answers.write_text(text)
            answers.chmod(0o755)
            for path in filter(None, map(chroot.which, programs)):
                mounts.bind(answers, resolve_inside(chroot.root, path))
        env = {"GRUB_DISABLE_OS_PROBER": "true"}
        chroot.run([facts.mkconfig, "-o", facts.config], env=env)


def _esp_path(disk: PlannedDisk) -> str:
    if disk.esp is None or not mount_path(disk.esp):
        raise InputError(
            "os.bootloader.resetType: the image has no mounted EFI system partition",
            hint="give it a partition of type esp with a fat32 filesystem at /boot/efi",
        )
    return mount_path(disk.esp)


def _write_stubs(esp: Path, stub: str, facts: GrubFacts) -> None:
    stubs = [*facts.stubs, *(str(plain.relative_to(esp)) for plain in provide_plain_grub(esp))]
    for name in dict.fromkeys(stubs):
        directory = on_fat(esp, name)
        directory.mkdir(parents=True, exist_ok=True)
        config = on_fat(directory, "grub.cfg")
        config.unlink(missing_ok=True)
        config.write_text(stub)
