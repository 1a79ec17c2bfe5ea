"""The tree of files that the packages are made of, the agent's own interpreter and libraries among them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from trident_packages import interpreter, libraries, pcrlock
from trident_packages.contents import PACKAGES, PRIVATE, UNIT_DIRECTORY, UNITS
from trident_packages.folders import replacing_folder
from trident_packages.modules import Closure, closure
from twinroot.errors import InternalError
from twinroot.tools.run import run

PROGRAMS = {"trident": "twinroot.cli.trident", "trident-update-poll": "twinroot.cli.update_poll"}
"""What is put into /usr/bin, with the module whose `main` it runs."""
_SITE = f"{PRIVATE}/site"
_DOCUMENTS = "usr/share/doc/trident"
_EPOCH_FILE = "epoch"
# -I: neither the environment nor the working directory says what is loaded. -B, -S: nothing is written or looked for.
_PROGRAM = """#!/{interpreter} -IBS
import sys

sys.path.append("/{site}")
from {module} import main

sys.exit(main())
"""


def runtime(repository: Path, cache: Path) -> Path:
    """The interpreter and the libraries, which change seldom: made once for the same inputs and kept in `cache`.

    A folder with `lib/`, `bin/` and `site/` as below the private folder of the agent, `licences/`, and `epoch`.
    """
    wanted = libraries.pinned((repository / "requirements.txt").read_text(), libraries.LIBRARIES)
    inputs = [wanted.encode(), *(Path(module.__file__ or "").read_bytes() for module in (interpreter, libraries))]
    digest = hashlib.sha256(b"\0".join(inputs)).hexdigest()[:16]
    result = cache / f"runtime-{digest}"
    if result.is_dir():
        return result
    for old in cache.glob("runtime-*"):
        shutil.rmtree(old)
    with replacing_folder(result) as (target, work):
        epoch = interpreter.make(target, target / "licences", work)
        libraries.install(wanted, target / "site", target / "licences", interpreter.VERSION, work)
        objects = [path for path in target.rglob("*") if path.is_file() and ".so" in path.suffixes]
        run(["strip", "--strip-unneeded", "--enable-deterministic-archives", *objects])
        _compile(target / interpreter.PROGRAM, target, PRIVATE)
        (target / _EPOCH_FILE).write_text(str(epoch))
    return result


def lay(repository: Path, cache: Path, tree: Path) -> int:
    """Put all files of all packages into the empty folder `tree`; the time that dates them, seconds."""
    made = runtime(repository, cache)
    private = tree / PRIVATE
    private.mkdir(parents=True)
    for name in ("bin", "lib", "site"):
        shutil.copytree(made / name, private / name, symlinks=True)
    ours = closure(repository / "src", PROGRAMS.values())
    check_libraries(ours)
    for path in ours.modules.values():
        target = tree / _SITE / path.relative_to(repository / "src")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    _compile(private / interpreter.PROGRAM, tree / _SITE / "twinroot", f"{_SITE}/twinroot")
    _check_imports(private, ours)
    _programs(tree)
    _documents(repository, made, tree)
    for package in PACKAGES:
        for directory in package.directories:
            (tree / directory).mkdir(parents=True)
        for unit in package.units:
            target = tree / UNIT_DIRECTORY / unit
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(UNITS / unit, target)
        for link in package.links:
            (tree / link).parent.mkdir(parents=True, exist_ok=True)
            (tree / link).symlink_to(f"../{Path(link).name}")
    for name, text in pcrlock.files().items():
        target = tree / "var/lib/pcrlock.d" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    _set_modes(tree)
    return int((made / _EPOCH_FILE).read_text())


def check_libraries(ours: Closure) -> None:
    """InternalError when our modules import what is not packed."""
    missing = ours.others - set(libraries.LIBRARIES.values())
    if missing:
        raise InternalError(
            f"the agent imports {', '.join(sorted(missing))}, which is not packed with it",
            hint="add it to LIBRARIES in packaging/trident_packages/libraries.py, or do not import it",
        )


def _compile(program: Path, folder: Path, place: str) -> None:
    """Byte code in place of sources: half the size, and nothing to compile at each start.

    By hash and unchecked, so that the bytes say nothing about when or where they were made. `place` is where the folder
    will be, for tracebacks.
    """
    run(
        [
            program, "-IBS", "-m", "compileall", "-q", "-b", "-f", "-j1", "--invalidation-mode", "unchecked-hash",
            "-s", folder, "-p", f"/{place}", folder,
        ]
    )  # fmt: skip
    for source in folder.rglob("*.py"):
        source.unlink()
    for cached in list(folder.rglob("__pycache__")):
        shutil.rmtree(cached)


def _check_imports(private: Path, ours: Closure) -> None:
    """Import every module once, so that what was left out of Python or of a library by mistake is noticed here."""
    text = f"import sys; sys.path.append({str(private / 'site')!r})\nimport {', '.join(ours.modules)}"
    run([private / interpreter.PROGRAM, "-IBS", "-c", text])


def _programs(tree: Path) -> None:
    for name, module in PROGRAMS.items():
        target = tree / "usr/bin" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_PROGRAM.format(interpreter=f"{PRIVATE}/{interpreter.PROGRAM}", site=_SITE, module=module))


def _documents(repository: Path, made: Path, tree: Path) -> None:
    documents = tree / _DOCUMENTS
    documents.mkdir(parents=True)
    shutil.copyfile(repository / "LICENSE", documents / "copyright")
    shutil.copytree(made / "licences", documents / "licences")


def _set_modes(tree: Path) -> None:
    """Whatever the umask of whoever builds this."""
    for path in [tree, *tree.rglob("*")]:
        runs = path.is_dir() or path.parent.name == "bin"
        path.chmod(0o755 if runs else 0o644)
