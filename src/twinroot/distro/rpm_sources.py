"""`--rpm-source`: directories of RPMs and `.repo` files, as one repository folder inside the image's tree.

Everything is laid below `/run` of the tree, which is a filesystem in memory, so nothing can remain in the image. A
directory's metadata is made in the build directory: the user's directory is never written to. Formats of `.repo` files:
image config spec §10.2.
"""

from __future__ import annotations

import configparser
import io
import logging
from collections.abc import Sequence
from pathlib import Path

from twinroot.distro.packages import PackageSources
from twinroot.distro.rpm import HOST_PATHS, REPOSITORIES
from twinroot.errors import FormatError, InputError
from twinroot.formats.rpm_file import whole_size
from twinroot.sandbox.mounts import Mounts
from twinroot.sandbox.paths import read_file, resolve_inside
from twinroot.tools import createrepo

log = logging.getLogger(__name__)

_INSIDE = "/run/twinroot/sources"


def check_sources(paths: Sequence[Path]) -> None:
    """InputError for a source that is neither a directory nor a `.repo` file; before any work starts."""
    for path in paths:
        if path.is_dir() or (path.is_file() and path.suffix == ".repo"):
            continue
        what = "does not exist" if not path.exists() else "is neither a directory nor a .repo file"
        hint = "name a directory of .rpm files or a .repo file; a comma in its path is written \\,"
        raise InputError(f"--rpm-source {path}: {what}", hint=hint)
    for path in paths:
        if path.is_file():
            _read_repo(path)


def attach(sources: PackageSources, root: Path, scratch: Path, mounts: Mounts) -> None:
    """Make all sources visible in the tree and write the repository file that package managers are pointed to."""
    merged = configparser.RawConfigParser()
    merged.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    if sources.image_repositories:
        for path in sorted(resolve_inside(root, "/etc/yum.repos.d").glob("*.repo")):
            _merge_image_repo(root, f"/etc/yum.repos.d/{path.name}", merged)
    for index, path in enumerate(sources.paths):
        if path.is_dir():
            _attach_directory(path, index, merged, root, scratch, mounts)
        else:
            _attach_repo_file(path, merged, root, mounts)
    text = io.StringIO()
    merged.write(text, space_around_delimiters=False)
    target = root / REPOSITORIES.lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    (target / "all.repo").write_text(text.getvalue())


def _merge_image_repo(root: Path, path: str, merged: configparser.RawConfigParser) -> None:
    try:
        # Not strict, as the package managers are not: of two values for one key, the last counts.
        parser = configparser.RawConfigParser(strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
        text = read_file(root, path)
        if text is None:
            raise InputError("it is no plain file")
        parser.read_string(text.decode(), path)
    except (configparser.Error, UnicodeDecodeError, OSError, InputError) as error:
        raise InputError(
            f"{path} of the base image is not a readable .repo file: {error}",
            hint="leave the image's repositories out with --disable-base-image-rpm-repos",
        ) from error
    for section in parser.sections():
        merged[section] = (dict(merged[section]) if section in merged else {}) | dict(parser[section])


def _attach_directory(
    path: Path, index: int, merged: configparser.RawConfigParser, root: Path, scratch: Path, mounts: Mounts
) -> None:
    _check_packages(path)
    metadata = scratch / f"repository-{index}"
    createrepo.describe(path.resolve(), metadata, prefix="packages/")
    inside = root / _INSIDE.lstrip("/") / str(index)
    mounts.bind(metadata / "repodata", inside / "repodata", read_only=True)
    mounts.bind(path.resolve(), inside / "packages", read_only=True)
    merged[f"rpm-source-{index}"] = {
        "name": f"{path.name} (--rpm-source)",
        "baseurl": f"file://{_INSIDE}/{index}",
        "enabled": "1",
        "gpgcheck": "0",
        "repo_gpgcheck": "0",
    }


def _check_packages(directory: Path) -> None:
    """InputError naming a package file that is damaged or that the image's programs will not find.

    createrepo_c does not notice all damages, and leaves the rest out.
    """
    for path in sorted(directory.rglob("*.rpm")):
        if path.is_symlink() and (path.readlink().is_absolute() or not _is_below(path, directory)):
            raise InputError(
                f"a package of --rpm-source {directory} is a symbolic link that leads out of the directory",
                where=str(path),
                hint="the image's programs see this directory alone: put the file itself into it, or a hard link",
            )
        try:
            with path.open("rb") as file:
                size, length = whole_size(file), path.stat().st_size
            if length < size:
                raise FormatError(f"it is cut off: it has {length} bytes of {size}")
        except (FormatError, OSError) as error:
            reason = error.message if isinstance(error, FormatError) else error.strerror
            raise InputError(
                f"a package of --rpm-source {directory} is damaged: {reason}",
                where=str(path),
                hint="download or build it again, or take it out of the directory",
            ) from error


def _is_below(path: Path, directory: Path) -> bool:
    return path.resolve().is_relative_to(directory.resolve())


def _attach_repo_file(path: Path, merged: configparser.RawConfigParser, root: Path, mounts: Mounts) -> None:
    parser = _read_repo(path)
    for section in parser.sections():
        values = dict(parser[section])
        for key in ("baseurl", "gpgkey"):
            if key in values:
                values[key] = " ".join(_local(uri, path, root, mounts) for uri in values[key].split())
        if values.get("gpgcheck", "1").strip() != "1":
            log.info("Signatures of packages from [%s] of %s are not checked by default", section, path)
        merged[section] = (dict(merged[section]) if section in merged else {}) | values


def host_paths(repo_file: Path) -> tuple[tuple[Path, ...], bool]:
    """The repositories of a .repo file that lie on this host, and whether it names others than these."""
    parser = _read_repo(repo_file)
    uris = [uri for section in parser.sections() for uri in parser[section]["baseurl"].split()]
    found = [_on_host(uri, repo_file) for uri in uris]
    return tuple(path for path in found if path), None in found


def _on_host(uri: str, repo_file: Path) -> Path | None:
    if uri.startswith("file+rel://"):
        return repo_file.resolve().parent / uri.removeprefix("file+rel://").lstrip("/")
    return Path(uri.removeprefix("file://")) if uri.startswith("file://") else None


def _local(uri: str, repo_file: Path, root: Path, mounts: Mounts) -> str:
    """A URI as the package manager inside the tree can use it: host paths are bound into the tree."""
    if uri.startswith("file+chroot://"):
        return "file://" + uri.removeprefix("file+chroot://")
    host = _on_host(uri, repo_file)
    if host is None:
        return uri
    if not host.exists():
        raise InputError(f"{repo_file}: {uri} does not exist on this host")
    inside = f"{HOST_PATHS}{host.resolve()}"
    target = root / inside.lstrip("/")
    if target.exists() and target.samefile(host):
        # Another section has named it already.
        return f"file://{inside}"
    if host.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mounts.bind(host.resolve(), target, read_only=True)
    return f"file://{inside}"


def _read_repo(path: Path) -> configparser.RawConfigParser:
    # Not strict, as the package managers are not: a section that comes twice is one, in which the last value counts.
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    try:
        parser.read_string(path.read_text(), str(path))
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise InputError(f"--rpm-source {path}: not a readable .repo file: {error}") from error
    for section in parser.sections():
        if not parser[section].get("baseurl", "").strip():
            raise InputError(
                f"--rpm-source {path}: section [{section}] has no baseurl",
                hint="metalink and mirrorlist do not do here",
            )
    return parser
