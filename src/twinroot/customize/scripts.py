"""`scripts`: the user's own programs inside the image (image behaviour spec §22).

They run as all programs of the image do (see `sandbox.chroot`), without the host's network unless it was asked for; the
directory of the configuration file that names them is at /_imageconfigs, read-only.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinroot.config.image.file import ConfigFile
from twinroot.config.image.scripts import Script
from twinroot.config.problems import KeyPath
from twinroot.config.resources import script_in_directory
from twinroot.errors import CommandError, InputError
from twinroot.sandbox.chroot import Chroot
from twinroot.sandbox.paths import resolve_inside

log = logging.getLogger(__name__)

_CONFIGS = "_imageconfigs"
_SHELL = "/bin/sh"
_SHOWN = 12  # lines of a failed script, as CommandError has it


def run_scripts(chroot: Chroot, file: ConfigFile, which: str, *, network: bool) -> None:
    """Run one file's list, `postCustomization` or `finalizeCustomization`; InputError for the first that fails."""
    scripts = file.config.scripts
    chosen = scripts.post_customization if which == "postCustomization" else scripts.finalize_customization
    with chroot.showing(file.path.parent.resolve(), _CONFIGS):
        for index, script in enumerate(chosen):
            key: KeyPath = ("scripts", which, index)
            with _placed(chroot, file, script, key) as path:
                _run(chroot, file, script, key, path, network=network)


@contextmanager
def _placed(chroot: Chroot, file: ConfigFile, script: Script, key: KeyPath) -> Iterator[str]:
    """The path of a script inside the image; one that is text in the configuration is there only for the block."""
    if script.path is not None:
        found = script_in_directory(file.path.parent, script.path)
        if found is None:
            raise file.refusal((*key, "path"), "the path leads out of the directory of the configuration file")
        yield f"/{_CONFIGS}/{found}"
        return
    descriptor, name = tempfile.mkstemp(prefix="script-", dir=chroot.root / "tmp")
    place = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as text:
            text.write((script.content or "").encode("utf-8", "surrogatepass"))
        place.chmod(0o700)
        yield f"/tmp/{place.name}"
    finally:
        place.unlink(missing_ok=True)


def _run(chroot: Chroot, file: ConfigFile, script: Script, key: KeyPath, path: str, *, network: bool) -> None:
    interpreter = script.interpreter or _SHELL
    if "PATH" not in script.environment_variables and not _has(chroot, interpreter):
        at = (*key, "interpreter") if script.interpreter else key
        raise file.refusal(
            at, f"the image has no {interpreter} to run this with", "install it with os.packages.install"
        )
    what = shown(script, key)
    log.info("Running %s", what)

    def see(line: str) -> None:
        log.debug("%s: %s", what, printable(line))

    try:
        argv = [interpreter, path, *script.arguments]
        env = script.environment_variables
        chroot.run(argv, env=env, on_line=see, merged=True, network=network, may_mount=True)
    except CommandError as error:
        raise _failure(error, what, file, key) from error


def _failure(error: CommandError, what: str, file: ConfigFile, key: KeyPath) -> InputError:
    ended = f"failed with exit code {error.code}" if error.code >= 0 else f"was ended by signal {-error.code}"
    last = [f"\n  | {printable(line)}" for line in error.output.strip().splitlines()[-_SHOWN:]]
    return InputError(f"{what} {ended}{''.join(last)}", where=file.document.problem(key, "").where)


def shown(script: Script, key: KeyPath) -> str:
    """How a script is called in messages: by its place in the configuration and by its name or path."""
    name = script.name or script.path
    return f"{key[0]}.{key[1]}[{key[2]}]" + (f" ({name})" if name else "")


def printable(line: str) -> str:
    """A line of a script's output as it can be shown anywhere: a terminal obeys control characters."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)


def _has(chroot: Chroot, program: str) -> bool:
    return resolve_inside(chroot.root, program).is_file() if "/" in program else chroot.has(program)
