"""`base/minimal-os.vhdx`: the repository's minimal set installed by dnf, on a disk that boots."""

from __future__ import annotations

from pathlib import Path

from standin import disk, grubcfg, repo
from standin.chroot import run_inside
from standin.disk import Layout
from standin.packages import MINIMAL_OS
from standin.stamp import Stamp, fresh, note, read
from standin.tree import remove, write
from twinroot.scratch import locked_folder
from twinroot.tools.run import run
from twinroot.units import GIB, MIB

LAYOUT = Layout("minimal-os", disk_size=4 * GIB, esp_size=64 * MIB)
_LEFT_BEHIND = ("var/cache/dnf", "var/lib/dnf", "var/cache/ldconfig", "run", "tmp", "dev", "proc", "sys")
_LOGS = "var/log"


def build(output: Path) -> Path:
    """Make the image unless it is there and made from the same repository; returns it."""
    rpms = repo.build(output)
    target = output / "base/minimal-os.vhdx"
    stamp = Stamp.of(modules=("chroot", "disk", "grubcfg", "minimal_os"), text=[read(output / "repo"), *MINIMAL_OS])
    if fresh(target, stamp):
        return target
    target.parent.mkdir(exist_ok=True)
    with locked_folder(".minimal-os-", output) as work:
        root = work / "root"
        root.mkdir()
        _install(rpms, root, work)
        _configure(root)
        run_inside(root, ["dracut", "--force", "--regenerate-all"])
        grubcfg.make(root, LAYOUT, work, name="grub2")
        write(root, "/boot/efi/boot/grub2/grub.cfg", grubcfg.stub(LAYOUT, "grub2"))
        _tidy(root)
        disk.make(root, LAYOUT, target, "vhdx", work)
    note(target, stamp)
    return target


def _install(rpms: Path, root: Path, work: Path) -> None:
    home = work / "home"
    (work / "log").mkdir()
    home.mkdir()
    # Debian's rpm has its database below HOME by default; the host's dnf reads this file.
    (home / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
    options = {
        "reposdir": work / "none",
        "varsdir": work / "none",
        "cachedir": work / "dnf",
        "logdir": work / "log",
        "install_weak_deps": "False",
        "keepcache": "False",
    }
    run(
        ["dnf", "--quiet", "--assumeyes", f"--installroot={root}", "--releasever=3.0", "--nogpgcheck"]
        + [f"--repofrompath=standin,file://{rpms}", "--repo=standin"]
        + [f"--setopt={name}={value}" for name, value in options.items()]
        + ["install", *MINIMAL_OS],
        env={"HOME": str(home)},
    )
    listed = run(["rpm", f"--root={root}", "--query", "--all", "--list"], env={"HOME": str(home)}).stdout
    remove_mirror(root, work, frozenset(listed.splitlines()))


def remove_mirror(root: Path, work: Path, owned: frozenset[str]) -> None:
    """Take away what dnf made inside the root under the host's path of the scratch directory: its cache and logs.

    `owned` are the paths that belong to packages: a checkout may lie in /tmp or /home, which the image has too.
    """
    mirror = root / work.relative_to("/")
    remove(mirror)
    for parent in mirror.parents:
        if parent == root or f"/{parent.relative_to(root)}" in owned or not parent.is_dir() or any(parent.iterdir()):
            break
        parent.rmdir()


def _configure(root: Path) -> None:
    write(root, "/etc/fstab", LAYOUT.fstab())
    write(root, "/etc/hostname", "minimal-os\n")
    # Empty, not missing: a missing one would count as first boot and reset which units are enabled.
    write(root, "/etc/machine-id", "", 0o444)


def _tidy(root: Path) -> None:
    for name in _LEFT_BEHIND:
        remove(root / name) if name.startswith("var") else _empty(root / name)
    for path in (root / _LOGS).iterdir():
        if path.is_file():
            path.unlink()


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        remove(path)
