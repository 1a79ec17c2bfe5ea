"""Package work on the real base images: what works, and what is refused in words that name the culprit."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.images import AB_CONFIG, RPMS
from tests.images.workplace import Workplace, check_refused, run_on_small_disk
from twinroot.base.facts import read_facts
from twinroot.base.image import open_raw, probe
from twinroot.base.installed import installed_packages

pytestmark = pytest.mark.images

ONLY_SOURCES = "--disable-base-image-rpm-repos"
_SPEC = """
Name: tiny
Version: {version}
Release: 1
Summary: A file for tests
License: MIT
BuildArch: noarch
%description
A file for tests.
%install
mkdir -p %{{buildroot}}/usr/share
echo {version} > %{{buildroot}}/usr/share/tiny
%files
/usr/share/tiny
"""


@pytest.fixture(scope="session")
def deb_without_sources(deb_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian base without any repository, so that its tests need no network."""
    base = tmp_path_factory.mktemp("deb") / "base.raw"
    subprocess.run(["cp", "--sparse=always", deb_base, base], check=True)
    _debugfs(base, "rm /etc/apt/sources.list", "rm /etc/apt/sources.list.d/debian.sources",
             "rm /etc/apt/sources.list.d/0000debian.sources")  # fmt: skip
    return base


def _debugfs(raw: Path, *commands: str) -> None:
    """Change the second partition of a disk; commands that fail are passed over, as by debugfs itself."""
    rows = subprocess.run(["sfdisk", "--dump", raw], capture_output=True, text=True, check=True, env=_env()).stdout
    start = int(next(row for row in rows.splitlines() if "raw2" in row).split("start=")[1].split(",")[0])
    argv = ["debugfs", "-w", "-f", "-", f"{raw}?offset={start * 512}"]
    subprocess.run(argv, input="\n".join(commands) + "\n", text=True, capture_output=True, check=True, env=_env())


def _env() -> dict[str, str]:
    return os.environ | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Directories with one package `tiny`, by its version."""
    top = tmp_path_factory.mktemp("rpmbuild")
    found = {}
    for version in ("1", "2"):
        spec = top / f"{version}.spec"
        spec.write_text(_SPEC.format(version=version))
        define = ["--define", f"_topdir {top}", "--define", f"_rpmdir {top / version}"]
        subprocess.run(["rpmbuild", "-bb", "--quiet", *define, spec], check=True, capture_output=True, env=_env())
        found[version] = top / version
    return found


@pytest.fixture(scope="session")
def with_tiny(rpm_base: Path, tiny: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The RPM base with tiny 1, installed by way of a list file."""
    place = Workplace(tmp_path_factory.mktemp("with-tiny"))
    (place.root / "lists").mkdir()
    (place.root / "lists/wanted.yaml").write_text("packages: [tiny]\n")
    config = "os:\n  packages:\n    installLists: [lists/wanted.yaml]\n"
    return place.succeeds(rpm_base, config, "--rpm-source", tiny["1"], ONLY_SOURCES)


def _version(image: Path, directory: Path) -> str | None:
    facts = read_facts(open_raw(probe(image), directory), str(image))
    return next((p.version for p in installed_packages(facts) if p.name == "tiny"), None)


def test_install_list(with_tiny: Path, tmp_path: Path) -> None:
    assert _version(with_tiny, tmp_path) == "1"


@pytest.mark.parametrize(
    ("packages", "version"),
    [
        ("updateExistingPackages: true", "2"),
        ("updateLists: [list.yaml]", "2"),
        ("removeLists: [list.yaml]", None),
    ],
)
def test_changes_of_an_installed_package(
    packages: str, version: str | None, with_tiny: Path, tiny: dict[str, Path], place: Workplace, tmp_path: Path
) -> None:
    (place.root / "list.yaml").write_text("packages: [tiny]\n")
    source = place.root / "a,comma"
    shutil.copytree(tiny["2"], source)
    config = f"os:\n  packages:\n    {packages}\n"
    image = place.succeeds(with_tiny, config, "--rpm-source", str(source).replace(",", "\\,"), ONLY_SOURCES)
    assert _version(image, tmp_path) == version
    assert sorted(path.name for path in source.iterdir()) == ["noarch"], "the user's directory was written to"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("packages: {install: [curl, nosuchthing, another]}", ["os.packages.install", ": nosuchthing, another\n"]),
        ("packages: {update: [nosuchthing]}", ["os.packages.update", "nosuchthing"]),
        ("packages: {update: [jq]}", ["os.packages.update: not installed in the base image: jq\n"]),
        ("packages: {remove: [bash, nosuchthing]}", ["os.packages.remove", "not installed", ": nosuchthing\n"]),
        ("services: {enable: [nosuchthing]}", ["os.services.enable", "no service 'nosuchthing'"]),
        ("services: {disable: [nosuchthing]}", ["os.services.disable", "no service 'nosuchthing'"]),
    ],
)
def test_unknown_names(config: str, says: list[str], rpm_base: Path, place: Workplace) -> None:
    source = ["--rpm-source", RPMS] if "install:" in config or "update:" in config else []
    place.fails(rpm_base, f"os:\n  {config}\n", *source, ONLY_SOURCES, says=says)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("packages: {install: [nosuchthing]}", ["os.packages.install", ": nosuchthing\n"]),
        ("packages: {update: [nosuchthing]}", ["os.packages.update", ": nosuchthing\n"]),
        ("packages: {remove: [nosuchthing]}", ["os.packages.remove", "not installed", ": nosuchthing\n"]),
        ("services: {enable: [nosuchthing]}", ["no service 'nosuchthing'"]),
    ],
)
def test_unknown_names_on_debian(config: str, says: list[str], deb_without_sources: Path, place: Workplace) -> None:
    place.fails(deb_without_sources, f"os:\n  {config}\n", says=says)


def test_debian_repository_that_does_not_answer(deb_without_sources: Path, place: Workplace, tmp_path: Path) -> None:
    base = tmp_path / "base.raw"
    subprocess.run(["cp", "--sparse=always", deb_without_sources, base], check=True)
    (tmp_path / "list").write_text("deb [trusted=yes] http://127.0.0.1:9/ stable main\n")
    _debugfs(base, f"write {tmp_path / 'list'} /etc/apt/sources.list")
    says = ["a package repository does not answer", "http://127.0.0.1:9/"]
    place.fails(base, "os:\n  packages:\n    install: [hello]\n", says=says)


def test_rpm_source_for_a_debian_base(deb_base: Path, place: Workplace) -> None:
    place.fails(deb_base, "os:\n  hostname: x\n", "--rpm-source", RPMS, says=["--rpm-source", "Debian packages"])


def _repo(directory: Path, *lines: str) -> Path:
    path = directory / "some.repo"
    path.write_text("\n".join(["[some]", "name=some", "gpgcheck=0", *lines]) + "\n")
    return path


def _closed(directory: Path, _tiny: Path) -> Path:
    return _repo(directory, "baseurl=http://127.0.0.1:9/")


def _nowhere(directory: Path, _tiny: Path) -> Path:
    return _repo(directory, f"baseurl=file://{directory}/nowhere")


def _no_metadata(directory: Path, tiny: Path) -> Path:
    return _repo(directory, f"baseurl=file://{tiny}")


def _damaged_metadata(directory: Path, tiny: Path) -> Path:
    shutil.copytree(tiny, directory / "repo")
    subprocess.run(["createrepo_c", "--quiet", directory / "repo"], check=True)
    for path in (directory / "repo/repodata").glob("*primary.xml*"):
        path.write_bytes(path.read_bytes()[:50])
    return _repo(directory, f"baseurl=file://{directory}/repo")


def _cut_rpm(directory: Path, tiny: Path) -> Path:
    for path in tiny.rglob("*.rpm"):
        (directory / path.name).write_bytes(path.read_bytes()[:-10])
    return directory


def _no_rpm(directory: Path, _tiny: Path) -> Path:
    (directory / "page.rpm").write_text("<html>404</html>")
    return directory


def _changed_rpm(directory: Path, tiny: Path) -> Path:
    for path in tiny.rglob("*.rpm"):
        data = bytearray(path.read_bytes())
        data[-20] ^= 255
        (directory / path.name).write_bytes(data)
    return directory


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_closed, ["repository does not answer", "http://127.0.0.1:9/", "'some'"]),
        (_nowhere, ["some.repo", "nowhere does not exist"]),
        (_no_metadata, ["repository does not answer or is damaged", "repomd.xml"]),
        (_damaged_metadata, ["repository does not answer or is damaged", "'some'", "checksum"]),
        (lambda directory, _tiny: _repo(directory), ["some.repo", "[some] has no baseurl"]),
        (lambda directory, _tiny: directory / "none", ["none: does not exist"]),
        (lambda directory, tiny: next(tiny.rglob("*.rpm")), ["neither a directory nor a .repo file"]),
        (_cut_rpm, ["tiny-1-1.noarch.rpm", "is damaged", "cut off"]),
        (_no_rpm, ["page.rpm", "is damaged", "not an RPM"]),
        (_changed_rpm, ["os.packages.install", "tiny-1-1.noarch", "does not verify"]),
    ],
    ids=["closed", "nowhere", "no metadata", "damaged metadata", "no baseurl", "missing", "file", "cut", "page",
         "changed"],
)  # fmt: skip
def test_bad_source(
    make: Callable[[Path, Path], Path], says: list[str], rpm_base: Path, tiny: dict[str, Path], place: Workplace,
    tmp_path: Path,
) -> None:  # fmt: skip
    source = tmp_path / "source"
    source.mkdir()
    config = "os:\n  packages:\n    install: [tiny]\n"
    place.fails(rpm_base, config, "--rpm-source", make(source, tiny["1"]), ONLY_SOURCES, says=says)


def test_packages_without_any_source(rpm_base: Path, place: Workplace) -> None:
    config = "os:\n  packages:\n    install: [tiny]\n"
    place.fails(rpm_base, config, ONLY_SOURCES, says=["there is no repository to take them from", "--rpm-source"])


@pytest.mark.parametrize(
    ("size", "config"),
    [
        (6, "os:\n  packages:\n    install: [vim]\n"),
        (40, "os:\n  packages:\n    install: [vim, openssh-server, netplan]\n"),
        (24, AB_CONFIG.read_text().split("  packages:")[0]),
    ],
    ids=["lists", "packages", "initramfs"],
)
def test_full_build_directory_is_no_missing_package(size: int, config: str, rpm_base: Path, place: Workplace) -> None:
    source = ["--rpm-source", RPMS] if "install" in config else []
    done = run_on_small_disk(place, place.build, f"size={size}M", rpm_base, config, *source, ONLY_SOURCES)
    check_refused(done, [str(place.build), "the build directory is full"])
    assert list(place.out.iterdir()) == []
    place.check_quiet()
