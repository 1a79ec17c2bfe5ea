"""The deciding parts of packaging/: which modules and libraries, what the packages and their units are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "distro-rpm"))
sys.path.insert(0, str(Path(__file__).parents[2] / "packaging"))

from trident_packages import agent, deb, interpreter, pcrlock, rpm
from trident_packages.contents import PACKAGES, UNITS
from trident_packages.libraries import LIBRARIES, pinned
from trident_packages.modules import Closure, closure
from twinroot.errors import InputError, InternalError

ROOT = Path(__file__).parents[2]
BY_NAME = {package.name: package for package in PACKAGES}


def test_what_does_not_run_is_not_even_read(tmp_path: Path) -> None:
    """Debian's sitecustomize.py is a link to what the build host may have below /etc, or may not (Ubuntu)."""
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "email/test").mkdir(parents=True)
    (source / "test").mkdir()
    for name in ("os.py", "email/test/kept.py", "test/left_out.py"):
        (source / name).write_text("")
    (source / "sitecustomize.py").symlink_to(tmp_path / "of the host")
    interpreter.copy_stdlib(source, target)
    assert {str(path.relative_to(target)) for path in target.rglob("*.py")} == {"os.py", "email/test/kept.py"}


def test_closure(tmp_path: Path) -> None:
    files = {
        "__init__": "",
        "a": "import json\nfrom twinroot.b import c, name\n",
        "b/__init__": "name = 1\n",
        "b/c": "def f():\n    import yaml.nodes\n    from twinroot import d\n",
        "d": "import twinroot.a\n",
        "unused": "import pygments\n",
    }
    for name, text in files.items():
        path = tmp_path / f"twinroot/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = closure(tmp_path, ["twinroot.a"])
    assert list(found.modules) == ["twinroot", "twinroot.a", "twinroot.b", "twinroot.b.c", "twinroot.d"]
    assert found.others == {"yaml"}


def test_everything_that_the_agent_imports_is_packed() -> None:
    ours = closure(ROOT / "src", agent.PROGRAMS.values())
    agent.check_libraries(ours)
    assert not {name for name in ours.modules if name.startswith(("twinroot.customize", "twinroot.builder"))}
    with pytest.raises(InternalError, match="numpy"):
        agent.check_libraries(Closure({}, frozenset({"numpy"})))


def test_pinned_lines() -> None:
    text = "a==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n    # via b\na-b==2 \\\n    --hash=sha256:02\n"
    assert pinned(text, ["a-b", "a"]) == "a==1 --hash=sha256:00 --hash=sha256:01\na-b==2 --hash=sha256:02\n"
    with pytest.raises(InputError, match="does not have c, d"):
        pinned(text, ["d", "a", "c"])
    real = pinned((ROOT / "requirements.txt").read_text(), LIBRARIES)
    assert len(real.splitlines()) == len(LIBRARIES)


def test_the_packages_are_those_of_the_tutorial() -> None:
    assert set(BY_NAME) == {
        "trident", "trident-service", "trident-install-service", "trident-provisioning", "trident-update-poll",
        "trident-static-pcrlock-files",
    }  # fmt: skip
    units = [unit for package in PACKAGES for unit in package.units]
    assert sorted(units) == sorted(path.name for path in UNITS.iterdir()), "each unit is in one package"


def test_spec() -> None:
    text = rpm.spec(PACKAGES, "1.2")
    service = text.split("%package -n trident-service\n")[1].split("%package")[0]
    assert "Requires: trident = %{version}-%{release}" in service
    assert "Conflicts: trident-install-service" in service
    assert "systemctl --no-reload preset trident.service" in service
    assert service.rstrip().endswith("/usr/lib/systemd/system/sysinit.target.wants/trident-trial.timer")
    agent_part = text.split("%package -n trident\n")[1].split("%package")[0]
    assert "Requires: trident =" not in agent_part
    assert "%dir /etc/trident" in agent_part


def test_control() -> None:
    text = deb.control(BY_NAME["trident-service"], "1.2", 7)
    assert "Depends: trident (= 1.2)\n" in text
    assert "Conflicts: trident-install-service\n" in text
    assert "Suggests" not in text, "an empty field is left out"
    assert "passwd" in deb.control(BY_NAME["trident"], "1.2", 7)
    assert deb.scripts(BY_NAME["trident-static-pcrlock-files"]) == {}
    assert "disable trident.service" in deb.scripts(BY_NAME["trident-service"])["prerm"]


def test_measurements() -> None:
    """Digests that systemd publishes for the same events, in the files of the same names that come with it."""
    found = {name: json.loads(text)["records"] for name, text in pcrlock.files().items()}
    sha256 = {
        name: [(record["pcr"], record["digests"][1]["digest"][:16]) for record in records]
        for name, records in found.items()
    }
    assert sha256["350-action-efi-application.pcrlock"] == [(4, "3d6772b4f84ed475")]
    assert sha256["700-action-efi-exit-boot-services.pcrlock.d/300-present.pcrlock"] == [
        (5, "d8043d6b7b85ad35"),
        (5, "b54f7542cbd872a8"),
    ]
    assert sha256["700-action-efi-exit-boot-services.pcrlock.d/600-absent.pcrlock"] == []
    assert sha256["750-enter-initrd.pcrlock"] == [(11, "51e6b92f405d1f98")]
    assert sha256["950-shutdown.pcrlock"] == [(11, "08434ba9cdf55a02")]
    assert sha256["400-secureboot-separator.pcrlock.d/300-0x00000000.pcrlock"] == [(7, "df3f619804a92fdb")]
    separator = sha256["500-separator.pcrlock.d/300-0x00000000.pcrlock"]
    assert separator == [(pcr, "df3f619804a92fdb") for pcr in range(7)]
