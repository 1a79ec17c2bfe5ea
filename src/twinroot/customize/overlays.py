"""`os.overlays`: overlay file systems in /etc/fstab, and what the initramfs needs for them (image behaviour spec §20).

An overlay that the initramfs mounts has its directories below /sysroot, where dracut has the system that will be
started. initramfs-tools does not mount what fstab marks with `x-initrd.mount`: it gets a script that does.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from twinroot.config.image.overlays import Overlay, normal
from twinroot.distro.distro import Distro
from twinroot.errors import InputError
from twinroot.sandbox.paths import make_directory, place_file, read_text
from twinroot.storage.fstab import FSTAB, fstab_entries, render_line

log = logging.getLogger(__name__)

_SYSROOT = "/sysroot"
_INITRD_MOUNT = "x-initrd.mount"
_DRACUT = ("/etc/dracut.conf.d/overlay.conf", 'add_drivers+=" overlay "\n')
_TOOLS_MODULES = "/etc/initramfs-tools/modules"
_TOOLS_SCRIPT = "/etc/initramfs-tools/scripts/init-bottom/twinroot-initrd-mounts"
# init-bottom: the root file system is mounted at $rootmnt by then. fstab(5) escapes white space in octal. The shell
# does all it can: without busybox an initramfs has few programs, and neither tr nor sed.
INITRD_MOUNTS = r"""#!/bin/sh
# Mounts what /etc/fstab marks with x-initrd.mount, as dracut and systemd do: written by twinroot for os.overlays.
[ "$1" = prereqs ] && exit 0
. /scripts/functions
# All $2 in $1 replaced by $3.
replaced() {
  rest=$1 made=
  while [ "$rest" != "${rest#*"$2"}" ]; do
    made="$made${rest%%"$2"*}$3"
    rest=${rest#*"$2"}
  done
  printf %s "$made$rest"
}
set -f
blanks=$IFS
while read -r source point type options _; do
  case ",$options," in *,x-initrd.mount,*) ;; *) continue ;; esac
  case "$source" in "#"*) continue ;; esac
  kept=
  IFS=,
  for option in $options; do
    case "$option" in
      x-*|defaults|auto|noauto|nofail|_netdev|user|users) continue ;;
    esac
    option=$(replaced "$option" "=/sysroot/" "=$rootmnt/")
    kept="$kept,$(replaced "$option" ":/sysroot/" ":$rootmnt/")"
  done
  IFS=$blanks
  [ "$type" = overlay ] && { modprobe -q overlay || true; }
  case "$source" in *=*|/dev/*) source=$(resolve_device "$source") ;; esac
  point=$(printf %b "$point")
  kept=$(printf %b "$kept")
  mkdir -p "$rootmnt$point" 2>/dev/null || true
  mount -t "$type" -o "${kept#,}" "$source" "$rootmnt$point" || panic "$point cannot be mounted"
done < "$rootmnt/etc/fstab"
exit 0
"""


def apply_overlays(root: Path, overlays: Sequence[Overlay], distro: Distro) -> None:
    """Add the overlays of one file. InputError for a dependency that comes too late, or a mount point used twice."""
    text = read_text(root, FSTAB) or ""
    changed = with_overlays(text, overlays)
    _warn_of_read_only(text, overlays)
    for overlay in overlays:
        for path in (overlay.mount_point, overlay.upper_dir, overlay.work_dir):
            make_directory(root, path)
    place_file(root, FSTAB, changed, follow=True)
    if overlays:
        _prepare_initramfs(root, overlays, distro)


def with_overlays(text: str, overlays: Sequence[Overlay]) -> str:
    """/etc/fstab with a line for each overlay at its end; a line that is there already is not added again."""
    for overlay in overlays:
        line = overlay_line(overlay)
        _check_dependencies(text, overlay)
        present = text.splitlines(keepends=True)
        if line in present:
            continue
        point = normal(overlay.mount_point)
        if any(entry.type == "overlay" and normal(entry.mount_point) == point for entry in fstab_entries(text)):
            raise InputError(
                f"os.overlays: /etc/fstab of the base image mounts another overlay at {point} already",
                hint="remove that line from the base image, or leave this overlay out",
            )
        text += ("\n" if text and not text.endswith("\n") else "") + line
    return text


def overlay_line(overlay: Overlay) -> str:
    """The line of an overlay in /etc/fstab."""
    prefix = _SYSROOT if overlay.is_initrd_overlay else ""
    options = [
        "lowerdir=" + ":".join(prefix + path for path in overlay.lower_dirs),
        f"upperdir={prefix}{overlay.upper_dir}",
        f"workdir={prefix}{overlay.work_dir}",
        *(f"x-systemd.requires={prefix}{path}" for path in overlay.mount_dependencies),
    ]
    if overlay.is_initrd_overlay:
        options += [_INITRD_MOUNT, "x-systemd.wanted-by=initrd-fs.target"]
    if overlay.mount_options:
        options.append(overlay.mount_options)
    return render_line("overlay", overlay.mount_point, "overlay", ",".join(options), "0")


def _check_dependencies(text: str, overlay: Overlay) -> None:
    """What an overlay of the initramfs needs must be mounted there as well."""
    if not overlay.is_initrd_overlay:
        return
    early = {normal(e.mount_point) for e in fstab_entries(text) if _INITRD_MOUNT in e.options.split(",")}
    for path in overlay.mount_dependencies:
        if normal(path) not in early:
            raise InputError(
                f"os.overlays: the overlay at {overlay.mount_point} is mounted in the initramfs and depends on {path}, "
                "which /etc/fstab does not mount there",
                hint=f"add {_INITRD_MOUNT} to the mount options of {path}, or leave isInitrdOverlay out",
            )


def _warn_of_read_only(text: str, overlays: Sequence[Overlay]) -> None:
    """The initramfs mounts / as the kernel command line says, which is read-only as a rule: an overlay needs more."""
    early = [normal(e.mount_point) for e in fstab_entries(text) if _INITRD_MOUNT in e.options.split(",")]
    for overlay in overlays:
        upper = normal(overlay.upper_dir)
        if overlay.is_initrd_overlay and not any(upper.startswith(f"{point}/") for point in early if point != "/"):
            log.warning(
                "os.overlays: %s is on a file system that the initramfs may mount read-only; the overlay at %s then "
                "cannot be mounted. Put it on one with the mount option %s, or add the kernel argument rw",
                upper, overlay.mount_point, _INITRD_MOUNT,
            )  # fmt: skip


def _prepare_initramfs(root: Path, overlays: Sequence[Overlay], distro: Distro) -> None:
    if distro.initramfs[0] == "dracut":
        place_file(root, *_DRACUT)
        return
    modules = read_text(root, _TOOLS_MODULES) or ""
    if "overlay" not in modules.split("\n"):
        place_file(root, _TOOLS_MODULES, f"{modules.rstrip()}\noverlay\n".lstrip(), follow=True)
    if any(overlay.is_initrd_overlay for overlay in overlays):
        place_file(root, _TOOLS_SCRIPT, INITRD_MOUNTS).chmod(0o755)


def label_rules(overlays: Sequence[Overlay]) -> tuple[list[str], list[str]]:
    """What SELinux must know of overlays: lines for file_contexts.subs and for file_contexts.local.

    The upper directory is labelled as what it is seen as; the work directory is nobody's.
    """
    subs = [f"{normal(overlay.upper_dir)} {normal(overlay.mount_point)}" for overlay in overlays]
    local = [
        f"{_as_pattern(normal(overlay.work_dir))}(/.*)?    system_u:object_r:no_access_t:s0" for overlay in overlays
    ]
    return subs, local


def _as_pattern(path: str) -> str:
    return "".join(f"\\{char}" if char in ".^$?*+|[({\\)" else char for char in path)
