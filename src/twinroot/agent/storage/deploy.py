"""Carrying out a deployment: images onto devices, new filesystems, swap.

An image counts only after `write_image` returned: its hash matched. Everything else is done to it after that. What is
in use is never written: the kernel is asked for each device alone before a byte of it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from twinroot.agent.errors import ServicingError
from twinroot.agent.storage.claims import claimed
from twinroot.agent.storage.deploy_plan import Deployment, ImageWrite
from twinroot.agent.stream import Written, write_image
from twinroot.formats.cosi.reader import CosiFile
from twinroot.tools import e2fsprogs
from twinroot.tools.block_devices import make_filesystem, make_swap, wipe_signatures
from twinroot.tools.run import run

Advance = Callable[[str, int], None]
"""Hears of which image how many bytes are done."""


def deploy(cosi: CosiFile, deployment: Deployment, *, advance: Advance = lambda _path, _done: None) -> Written:
    """Write everything; how many bytes of images were written, and how many were right already.

    Raises FormatError for a damaged image, BusyError for a device in use, HostError, CommandError. After any error the
    devices hold mixtures, and the next deployment writes them anew.
    """
    targets = [image.target for image in deployment.images]
    targets += [*(filesystem.target for filesystem in deployment.filesystems), *deployment.swaps]
    if len({target.resolve() for target in targets}) != len(targets):
        raise ServicingError("deploy-images", "two parts of the configuration are to be written onto one device")
    with ExitStack() as claims:
        for target in targets:
            claims.enter_context(_exclusive(target))
    written = kept = 0
    for image in deployment.images:
        if image.wipe:
            wipe_signatures(image.target)
        done = _write(cosi, image, advance)
        written, kept = written + done.written, kept + done.kept
    for image in deployment.images:
        if image.grow:
            grow(image.target)
    for filesystem in deployment.filesystems:
        wipe_signatures(filesystem.target)
        make_filesystem(filesystem.target, filesystem.type)
    for swap in deployment.swaps:
        wipe_signatures(swap)
        make_swap(swap)
    return Written(written, kept)


def _write(cosi: CosiFile, image: ImageWrite, advance: Advance) -> Written:
    with _exclusive(image.target):
        return write_image(cosi, image.image, image.target, advance=lambda done: advance(image.image.path, done))


def grow(target: Path) -> None:
    """Let an ext filesystem fill its device, after the check that resize2fs asks for; as it is when it does already."""
    e2fsprogs.repair(e2fsprogs.Location(target))
    run(["resize2fs", target])


@contextmanager
def _exclusive(target: Path) -> Iterator[None]:
    """A block device for us alone; plain files, which tests use, know no such thing."""
    if not target.is_block_device():
        yield
        return
    with claimed(target):
        yield
