"""Files that are made to take up time or memory: each is an ordinary error, or right, and cheap to read.

Each file is loaded by a process of its own, as peak memory is that of a whole process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SIZE = 10 * 1024**2  # bytes of a big file
MANY = 39_000  # values, a little less than what a file may hold
MAX_MEMORY = 200 * 1024**2

# What /proc says, as the ru_maxrss of a program also counts the process that started it.
LOAD = """
import json, sys
from pathlib import Path
from twinroot.config.load import load_image_config
from twinroot.errors import ConfigError

try:
    load_image_config(Path(sys.argv[1]))
    messages = []
except ConfigError as error:
    messages = [problem.message for problem in error.problems]
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([messages, int(status["VmHWM"].split()[0]) * 1024]))
"""


def fill(unit: str) -> str:
    return unit * (SIZE // len(unit.encode()))


def numbered(pattern: str, count: int) -> str:
    return "".join(pattern.format(number, number + 1) for number in range(count))


def bomb(before: str, use: str, after: str) -> str:
    """Thirty values, each of which uses the one before ten times."""
    uses = [", ".join(use.format(number, below) for number in range(10)) for below in range(30)]
    return "- &a0 {x: y}\n" + "".join(f"- &a{n} {before}{text}{after}\n" for n, text in enumerate(uses, start=1))


INSTALL = "os:\n  packages:\n    install:\n"
PARTITIONS = "storage:\n  bootType: efi\n  disks:\n  - partitionTableType: gpt\n    partitions:\n"
FILESYSTEMS = "storage:\n  filesystems:\n"
SUBVOLUMES = "  - deviceId: a\n    type: btrfs\n    btrfs:\n      subvolumes:\n"
SCRIPT = "scripts:\n  postCustomization:\n  - content: "

TOO_MUCH = "the file holds more than 40000 values"
TOO_DEEP = "the file is nested more than 64 levels deep"
TOO_LONG = "the value is too long: "
NOT_YAML = "this is not valid YAML"

KINDS: dict[str, tuple[Callable[[], str], str | None]] = {
    # name: text, and the beginning of the first message; none where the file is right
    "list of scalars": (lambda: INSTALL + fill("    - vim\n"), TOO_MUCH),
    "long list that is right": (lambda: INSTALL + "    - vim\n" * MANY, None),
    "flow list on one line": (lambda: "a: [" + fill("x,") + "]", TOO_MUCH),
    "one long line": (lambda: "a: " + fill("x "), "unknown key 'a'"),
    "huge text that is right": (lambda: SCRIPT + "|\n" + fill("      x\n"), None),
    "huge text beyond Unicode's first plane": (lambda: 'os: {hostname: "𝄞' + fill("x") + '"}', TOO_LONG),
    "huge host name of many parts": (lambda: "os: {hostname: " + fill("ab.") + "ab}", TOO_LONG),
    "huge path in the image": (
        lambda: "os: {overlays: [{upperDir: /u, workDir: /w, mountPoint: " + fill("/ab") + "}]}",
        TOO_LONG,
    ),
    "huge variant": (
        lambda: "input: {image: {azureLinux: {version: 3.0, variant: " + fill("a-") + "a}}}",
        TOO_LONG,
    ),
    "huge key": (lambda: "? " + fill("x") + "\n: 1", "unknown key 'xxx"),
    "huge size": (lambda: PARTITIONS + "    - {size: " + fill("9") + "M}", TOO_LONG),
    "huge path of a subvolume": (
        lambda: FILESYSTEMS + SUBVOLUMES + "      - path: " + fill("a/") + "b",
        TOO_LONG,
    ),
    "huge name of an alias": (lambda: "a: *" + fill("x"), "there is no anchor &xxx"),
    "brackets": (lambda: fill("["), TOO_DEEP),
    "nested block lists": (lambda: fill("- "), TOO_DEEP),
    "nested block mappings": (lambda: "".join(" " * depth + "a:\n" for depth in range(1000)), TOO_DEEP),
    "tiny mappings": (lambda: "a:\n" + fill("- a: 1\n"), TOO_MUCH),
    "unknown keys": (lambda: numbered("key{0}: 1\n", 700_000), TOO_MUCH),
    "fewer unknown keys": (
        lambda: numbered("key{0:0500}: 1\n", MANY // 2),
        "there are 19400 more problems in this file",
    ),
    "the same key": (lambda: fill("a: 1\n"), "the key 'a' is given twice"),
    "anchors": (lambda: numbered("- &a{0} x\n", 700_000), TOO_MUCH),
    "bomb of lists": (lambda: bomb("[", "*a{1}", "]"), TOO_MUCH),
    "bomb of mappings": (lambda: bomb("{", "k{0}: *a{1}", "}"), TOO_MUCH),
    "bomb of keys": (lambda: bomb("{", "? *a{1} : {0}", "}"), "a key must be a single word or text"),
    "bomb of merge keys": (lambda: bomb("{<<: [", "*a{1}", "]}"), TOO_MUCH),
    "chain of merge keys": (lambda: "- &a0 {x: y}\n" + numbered("- &a{1} {{<<: *a{0}, k{1}: 1}}\n", 3000), TOO_DEEP),
    "thousands of merge keys": (lambda: "a: &a {x: 1}\nb:\n" + "  <<: *a\n" * (MANY // 4), "unknown key 'a'"),
    "bomb of text": (lambda: SCRIPT + '&a "' + "x" * 9_000_000 + '"\n' + "  - content: *a\n" * 10_000, TOO_MUCH),
    "bomb of paths": (
        lambda: (
            FILESYSTEMS
            + '  - {deviceId: a, mountPoint: &a "'
            + "/a" * 100_000
            + '"}\n'
            + "  - {deviceId: a, mountPoint: *a}\n" * 10_000
        ),
        TOO_MUCH,
    ),
    "wrong items": (lambda: INSTALL + "    - []\n" * 100_000, TOO_MUCH),
    "fewer wrong items": (lambda: INSTALL + ("    - -" + "x" * 250 + "\n") * MANY, "there are 38900 more problems"),
    "wrong names of features": (lambda: "previewFeatures:\n" + "- ukii\n" * MANY, "there are 38900 more problems"),
    "wrong objects": (lambda: "os:\n  users:\n" + "    - {}\n" * MANY, "there are 38900 more problems"),
    "line breaks": (lambda: fill("\n") + "ostrich: 1\n", "unknown key 'ostrich'"),
    "line breaks before mistakes": (
        lambda: fill("\r\n") + "a: 1\n" * 200 + INSTALL + "    - []\n" * 300,
        "there are 201 more",
    ),
    "wide line breaks before mistakes": (
        lambda: "# 𝄞\n" + fill("\n") + numbered("a{0}: 1\n", 200),
        "there are 100 more",
    ),
    "partitions": (lambda: PARTITIONS + "    - {size: 1M}\n" * (MANY // 3), "this key is required"),
    "file systems on partitions": (
        lambda: (
            PARTITIONS
            + numbered("    - {{id: p{0}, size: 1M}}\n", MANY // 11)
            + "  filesystems:\n"
            + numbered("  - {{deviceId: q{0}}}\n", MANY // 11)
        ),
        "this key is required together",
    ),
    "verity devices": (
        lambda: (
            PARTITIONS
            + numbered("    - {{id: p{0}, size: 1M}}\n", MANY // 20)
            + "  verity:\n"
            + numbered("  - {{id: v{0}, name: root, dataDeviceId: p{0}, hashDeviceId: p{0}}}\n", MANY // 20)
            + "  filesystems:\n"
            + numbered("  - {{deviceId: v{0}}}\n", MANY // 20)
        ),
        "this key is required together",
    ),
    "subvolumes": (
        lambda: FILESYSTEMS + SUBVOLUMES + numbered("      - {{path: a{0}, mountPoint: /a{0}}}\n", MANY // 5),
        "this key is only allowed together with 'disks'",
    ),
    "subvolumes in each other": (
        lambda: (
            FILESYSTEMS
            + SUBVOLUMES
            + "".join(f"      - {{path: {'a/' * depth}a, mountPoint: /{'a/' * depth}a}}\n" for depth in range(2000))
        ),
        "this key is only allowed together with 'disks'",
    ),
}


def run(path: Path) -> tuple[list[str], int]:
    """The messages, and the peak memory of the process in bytes."""
    done = subprocess.run([sys.executable, "-c", LOAD, path], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    messages, memory = json.loads(done.stdout)
    return messages, memory


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("text", "message"), KINDS.values(), ids=KINDS.keys())
def test_hostile_file(tmp_path: Path, text: Callable[[], str], message: str | None) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text(), newline="")
    messages, memory = run(path)
    assert len(messages) <= 300
    assert sum(map(len, messages)) < 100_000
    if message is None:
        assert messages == []
    else:
        assert any(each.startswith(message) for each in messages)
    assert memory < MAX_MEMORY
