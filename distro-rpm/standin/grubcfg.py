"""A root's own grub-mkconfig, run where no disk is: a stand-in for grub-probe answers for the layout to come."""

from __future__ import annotations

from pathlib import Path

from standin.chroot import run_inside
from standin.disk import Layout

_DEVICE = "/dev/standin-root"


def probe_script(layout: Layout) -> str:
    """A grub-probe that knows one device, the root partition of the layout."""
    answers = {
        "abstraction": "",
        "compatibility_hint": "hd0,gpt2",
        "device": _DEVICE,
        "disk": "/dev/standin",
        "drive": "(hd0,gpt2)",
        "fs": "ext2",
        "fs_uuid": layout.root_uuid,
        "hints_string": "",
        "partmap": "gpt",
        "partuuid": layout.root_partuuid,
    }
    cases = "\n".join(f'  *" --target={name} "*) echo "{text}" ;;' for name, text in answers.items())
    return f'#!/bin/sh\ncase " $* " in\n{cases}\nesac\n'


def make(root: Path, layout: Layout, scratch: Path, *, name: str) -> None:
    """Write grub.cfg and grubenv of the root. `name` is `grub2` or `grub`, as its programs and its directory are."""
    probe = scratch / "grub-probe"
    probe.write_text(probe_script(layout))
    probe.chmod(0o755)
    over = {f"/usr/sbin/{name}-probe": probe}
    devices = [_DEVICE, f"/dev/disk/by-uuid/{layout.root_uuid}"]
    (root / f"boot/{name}").mkdir(mode=0o700, exist_ok=True)
    run_inside(root, [f"{name}-editenv", f"/boot/{name}/grubenv", "create"])
    run_inside(root, [f"{name}-mkconfig", "-o", f"/boot/{name}/grub.cfg"], over=over, devices=devices)


def stub(layout: Layout, name: str) -> str:
    """The first grub.cfg, on the EFI system partition: find the root and go on there."""
    return (
        f"search --no-floppy --fs-uuid --set=root {layout.root_uuid}\n"
        f'set prefix=($root)"/boot/{name}"\nconfigfile $prefix/grub.cfg\n'
    )
