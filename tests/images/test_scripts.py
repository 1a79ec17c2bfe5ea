"""`scripts` through the command line: what they see, what they may do, what they leave behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.images import REPOSITORY, command
from tests.images.inside import Inside
from tests.images.synthetic import small_base
from tests.images.workplace import Workplace

pytestmark = pytest.mark.images


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic base with busybox for the usual programs."""
    busybox = Path("/usr/bin/busybox")
    if not busybox.exists():
        pytest.skip("needs busybox-static")

    def edit(root: Path) -> None:
        (root / "usr/bin/busybox").write_bytes(busybox.read_bytes())
        (root / "usr/bin/busybox").chmod(0o755)
        for name in ("cat", "env", "hostname", "ls", "mkdir", "mount", "setsid", "sleep", "sort", "touch", "id", "wc"):
            (root / "usr/bin" / name).symlink_to("busybox")

    return small_base(tmp_path_factory.mktemp("tools") / "base.raw", edit)


def _list(*scripts: str, which: str = "postCustomization") -> str:
    return f"scripts:\n  {which}:\n" + "".join(f"    - {script}\n" for script in scripts)


SEES = """
exec > /etc/seen
echo "args $# $1 $2"; echo "arg0 $0"; echo "cwd $(pwd)"; echo "host $(hostname)"; echo "umask $(umask)"
echo "net $(cat /proc/net/dev | wc -l)"; echo "pids $(ls /proc | sort -n | wc -l)"; echo "dev $(ls /dev/sda /dev/vda)"
echo "configs $(ls /_imageconfigs)"; touch /_imageconfigs/x 2>/dev/null || echo read-only
cat; env | sort
"""


def test_what_a_script_sees(tools: Path, place: Workplace) -> None:
    (place.root / "sub").mkdir()
    (place.root / "sub/see.sh").write_text(SEES)
    (place.root / "sub/link.sh").symlink_to(place.root / "sub/see.sh")
    variables = '{ODD: "it\'s\\n$x", HOME: /h}'
    config = _list(f"{{path: sub/link.sh, arguments: [a b, ''], environmentVariables: {variables}}}")
    text = Inside(place.succeeds(tools, config)).text("/etc/seen") or ""
    for line in ("args 2 a b ", "arg0 /_imageconfigs/sub/see.sh", "cwd /", "host localhost", "umask 0022", "net 3",
                 "read-only", "dev ", "HOME=/h", "ODD=it's", "$x", "LANG=C.UTF-8"):  # fmt: skip
        assert line in text.splitlines(), (line, text)
    assert "PATH=/usr/local/sbin:" in text and socket.gethostname() not in text
    assert "TWINROOT" not in text and "TMPDIR" not in text
    assert "sub" in text.split("configs ")[1]


def test_the_network_is_there_when_asked_for(tools: Path, place: Workplace) -> None:
    config = _list("{content: 'cat /proc/net/dev /etc/resolv.conf > /etc/seen'}")
    image = Inside(place.succeeds(tools, config, "--script-network"))
    seen = image.text("/etc/seen") or ""
    host = Path("/proc/net/dev").read_text().splitlines()
    assert [line.split(":")[0] for line in host] == [line.split(":")[0] for line in seen.splitlines()[: len(host)]]
    assert seen.endswith(Path("/etc/resolv.conf").read_text())


def test_the_environment_reaches_the_script_only(tools: Path, place: Workplace) -> None:
    """A search path and a library path of the image are not the host's."""
    log = place.root / "log"
    variables = "{PATH: /opt/none, LD_LIBRARY_PATH: /none, TOKEN: token-4711, TWINROOT_DROP: x}"
    config = _list(f'{{content: "echo $PATH $TOKEN > /etc/seen", environmentVariables: {variables}}}')
    image = Inside(place.succeeds(tools, config, "--log-file", log))
    assert image.text("/etc/seen") == "/opt/none token-4711\n"
    assert "token-4711" not in log.read_text()


def test_nothing_is_left_behind(tools: Path, place: Workplace) -> None:
    script = (
        "{content: 'setsid sleep 4711 & mkdir /mnt; mount -t tmpfs none /mnt; touch /mnt/a /tmp/b /run/c /dev/d; "
        "exec 7</etc/fstab; ls /tmp > /etc/seen; touch /etc/done'}"
    )
    image = Inside(place.succeeds(tools, _list(script, "{content: 'ls /mnt /run > /etc/later'}")))
    assert image.names("/mnt") == image.names("/tmp") == image.names("/run") == image.names("/dev") == []
    assert image.entry("/etc/done") and image.entry("/_imageconfigs") is None
    assert image.text("/etc/later") == "/mnt:\n\n/run:\nc\n"


def test_output_goes_to_the_log_line_by_line(tools: Path, place: Workplace) -> None:
    log = place.root / "log"
    script = "{name: noisy, content: 'echo one; echo two >&2; printf \"\\\\033[2Jthree \\\\377\"'}"
    place.succeeds(tools, _list(script), "--log-file", log)
    lines = [line.split("] ", 1)[1] for line in log.read_text().splitlines() if "(noisy): " in line]
    name = "scripts.postCustomization[0] (noisy): "
    assert lines == [f"{name}one", f"{name}two", f"{name}�[2Jthree �"]


@pytest.mark.parametrize("which", ["postCustomization", "finalizeCustomization"])
@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("{name: bad, content: 'echo first; echo last >&2; exit 3'}",
         [":4:7: scripts.LIST[1] (bad) failed with exit code 3", "  | first\n  | last"]),
        ("{path: kill.sh}", ["scripts.LIST[1] (kill.sh) failed with exit code", "  | before"]),
        ("{content: x, interpreter: /bin/none}", [":4:", "scripts.LIST[1].interpreter", "the image has no /bin/none"]),
        ("{content: x, interpreter: python9}", ["scripts.LIST[1].interpreter", "the image has no python9"]),
        ("{path: none.sh}", [":4:", "scripts.LIST[1].path", "no such file", "none.sh"]),
        ("{path: out.sh}", [":4:", "scripts.LIST[1].path", "leads out of the directory of the configuration file"]),
        ("{path: away/x.sh}", ["scripts.LIST[1].path", "leads out of the directory of the configuration file"]),
    ],
)  # fmt: skip
def test_failures_are_named(script: str, says: list[str], which: str, tools: Path, place: Workplace) -> None:
    outside = place.root.parent / "outside"
    outside.mkdir()
    (outside / "x.sh").write_text("true\n")
    (place.root / "out.sh").symlink_to(outside / "x.sh")
    (place.root / "away").symlink_to(outside)
    (place.root / "kill.sh").write_text("echo before; sh -c 'kill -9 $$'\n")
    config = _list("{content: 'true'}", script, which=which)
    place.fails(tools, config, says=[text.replace("LIST", which) for text in says])


def test_a_link_in_place_of_the_mount_point(place: Workplace, tmp_path: Path) -> None:
    base = small_base(tmp_path / "base.raw", lambda root: (root / "_imageconfigs").symlink_to("/etc"))
    place.fails(base, _list("{content: 'true'}"), says=["/_imageconfigs of the image is not a directory"])


def test_every_file_of_a_chain_in_its_order_with_its_directory(tools: Path, place: Workplace) -> None:
    (place.root / "base").mkdir()
    for directory, name in ((place.root, "top"), (place.root / "base", "base")):
        (directory / "say.sh").write_text(f'echo "$1 {name}" >> /etc/order; ls /_imageconfigs >> /etc/order\n')
    lists = _list("{path: say.sh, arguments: [post]}") + _list(
        "{path: say.sh, arguments: [final]}", which="finalizeCustomization"
    ).removeprefix("scripts:\n")
    (place.root / "base/base.yaml").write_text(lists)
    config = f"previewFeatures: [base-configs]\nbaseConfigs: [{{path: base/base.yaml}}]\n{lists}"
    text = Inside(place.succeeds(tools, config)).text("/etc/order") or ""
    assert [line for line in text.splitlines() if " " in line] == ["post base", "post top", "final base", "final top"]
    assert text.count("base.yaml") == 2


def test_scripts_come_after_users_and_files(tools: Path, place: Workplace) -> None:
    config = "os:\n  additionalFiles: [{content: x, destination: /tmp/for-the-script}]\n" + _list(
        "{content: 'cat /tmp/for-the-script > /etc/seen'}"
    )
    assert Inside(place.succeeds(tools, config)).text("/etc/seen") == "x"


def test_a_configuration_in_the_working_directory(tools: Path, place: Workplace) -> None:
    (place.root / "a.sh").write_text("echo here > /etc/seen\n")
    arguments = place.arguments(tools, _list("{path: a.sh}"))
    arguments[arguments.index("--config-file") + 1] = "config-1.yaml"
    done = command("imagecustomizer", *arguments, cwd=place.root)
    assert done.code == 0, done.stderr
    assert Inside(place.out / "image").text("/etc/seen") == "here\n"


def test_the_example_of_the_reference(os_base: Path, place: Workplace) -> None:
    (place.root / "scripts").mkdir()
    (place.root / "scripts/set-up.sh").write_text('set -e\necho "$1 $REGION" > /etc/region\n')
    image = Inside(place.succeeds(os_base, (REPOSITORY / "docs/config-examples/scripts.yaml").read_text()))
    assert image.text("/etc/region") == "--quiet north\n"
    assert "UTC" in (image.text("/etc/built") or "")
