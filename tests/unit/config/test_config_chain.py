"""`baseConfigs`: which files are read in which order, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from twinroot.config.load import LoadedConfig, load_image_config
from twinroot.errors import ConfigError

Load = Callable[[dict[str, str]], LoadedConfig]
ProblemsOf = Callable[[dict[str, str]], list[str]]

HEAD = "previewFeatures: [base-configs]\nbaseConfigs: "


def on(*bases: str) -> str:
    """A file that builds upon others; the first base is named in column 22 of line 2."""
    return HEAD + "[" + ", ".join(f"{{path: {base}}}" for base in bases) + "]\n"


def write(root: Path, files: dict[str, str]) -> None:
    """Write files by their paths. A text that begins with `→` makes a symbolic link."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("→"):
            path.symlink_to(text.removeprefix("→"))
        else:
            path.write_text(text)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write files and load `top.yaml`."""

    def load_files(files: dict[str, str]) -> LoadedConfig:
        write(tmp_path, files)
        return load_image_config(tmp_path / "top.yaml")

    return load_files


@pytest.fixture
def problems_of(tmp_path: Path, load: Load) -> ProblemsOf:
    """Write files, load `top.yaml` and give the problems as they are shown, with paths below the temporary folder."""

    def problems(files: dict[str, str]) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(files)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return problems


ORDERS: list[tuple[dict[str, str], str]] = [
    ({"top": "{}"}, "top"),
    ({"top": HEAD + "[]"}, "top"),
    ({"top": on("a.yaml"), "a": "{}"}, "a top"),
    ({"top": on("b.yaml", "a.yaml"), "a": "{}", "b": "{}"}, "b a top"),
    ({"top": on("a.yaml"), "a": on("b.yaml"), "b": on("c.yaml"), "c": "{}"}, "c b a top"),
    ({"top": on("a.yaml", "b.yaml"), "a": on("c.yaml", "d.yaml"), "b": "{}", "c": "{}", "d": "{}"}, "c d a b top"),
    # a file that is reached twice is applied once, at its first place
    ({"top": on("a.yaml", "b.yaml"), "a": on("c.yaml"), "b": on("c.yaml"), "c": "{}"}, "c a b top"),
    ({"top": on("a.yaml", "b.yaml"), "a": "{}", "b": on("a.yaml")}, "a b top"),
    ({"top": on("b.yaml", "a.yaml"), "a": "{}", "b": on("a.yaml")}, "a b top"),
    ({"top": on("a.yaml", "a.yaml"), "a": "{}"}, "a top"),
    ({"top": on("a.yaml", "./a.yaml", "d/../a.yaml"), "a": "{}", "d/b": "{}"}, "a top"),
    ({"top": on("a.yaml", "link.yaml"), "a": "{}", "link": "→a.yaml"}, "a top"),
    ({"top": on("link.yaml", "a.yaml"), "a": "{}", "link": "→a.yaml"}, "link top"),
    # paths are relative to the file that holds them
    ({"top": on("d/a.yaml"), "d/a": on("e/b.yaml", "../c.yaml"), "d/e/b": "{}", "c": "{}"}, "d/e/b d/../c d/a top"),
    ({"top": on("link/a.yaml"), "d/a": on("b.yaml"), "d/b": "{}", "link/": "→d"}, "link/b link/a top"),
    ({"top": on("d/link.yaml"), "d/link": "→../e/a.yaml", "e/a": on("b.yaml"), "d/b": "{}"}, "d/b d/link top"),
]


@pytest.mark.parametrize(("files", "order"), ORDERS)
def test_order(tmp_path: Path, load: Load, files: dict[str, str], order: str) -> None:
    loaded = load({name if name.endswith("/") else f"{name}.yaml": text for name, text in files.items()})
    found = [str(file.path.relative_to(tmp_path)).removesuffix(".yaml") for file in loaded.files]
    assert found == order.split()
    assert loaded.path == tmp_path / "top.yaml"
    assert not loaded.config.base_configs


def test_a_base_with_an_absolute_path(tmp_path: Path, load: Load) -> None:
    base = tmp_path / "elsewhere/base.yaml"
    loaded = load({"top.yaml": on(str(base)), "elsewhere/base.yaml": "{}"})
    assert loaded.files[0].path == base


def test_a_relative_path_of_the_top_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"d/top.yaml": on("../a.yaml"), "a.yaml": "input: {image: {path: core.raw}}"})
    monkeypatch.chdir(tmp_path)
    loaded = load_image_config(Path("d/top.yaml"))
    found = loaded.resolve(("input", "image", "path"))
    assert found is not None
    assert found.resolve() == tmp_path / "core.raw"


def test_a_hundred_files_one_on_another(load: Load) -> None:
    files = {f"{n}.yaml": on(f"{n - 1}.yaml") + f"os: {{services: {{enable: [s{n}]}}}}" for n in range(1, 99)}
    loaded = load({"top.yaml": on("98.yaml"), **files, "0.yaml": "os: {hostname: deep}"})
    assert [file.path.stem for file in loaded.files] == [*map(str, range(99)), "top"]
    assert loaded.config.os is not None
    assert loaded.config.os.hostname == "deep"
    assert loaded.config.os.services.enable == tuple(f"s{n}" for n in range(1, 99))


def test_a_chain_without_an_end_is_refused(problems_of: ProblemsOf) -> None:
    files = {f"{n}.yaml": on(f"{n + 1}.yaml") for n in range(200)}
    (problem,) = problems_of({"top.yaml": on("0.yaml"), **files})
    assert "base configurations are nested more than 128 levels deep" in problem


def test_many_ways_to_the_same_files_are_walked_once(load: Load) -> None:
    files = {f"{name}{n}.yaml": on(f"a{n + 1}.yaml", f"b{n + 1}.yaml") for n in range(40) for name in "ab"}
    loaded = load({"top.yaml": on("a0.yaml", "b0.yaml"), **files, "a40.yaml": "{}", "b40.yaml": "{}"})
    assert len(loaded.files) == 83
    assert [file.path.stem for file in loaded.files[:4]] == ["a40", "b40", "a39", "b39"]


CIRCLE = "baseConfigs[0].path: base configurations go in a circle: "

BROKEN: list[tuple[dict[str, str], list[str]]] = [
    # circles, shown where they close
    ({"top.yaml": on("top.yaml")}, [f"top.yaml:2:22: {CIRCLE}top.yaml → top.yaml"]),
    ({"top.yaml": on("a.yaml"), "a.yaml": on("top.yaml")}, [f"a.yaml:2:22: {CIRCLE}top.yaml → a.yaml → top.yaml"]),
    (
        {"top.yaml": on("a.yaml"), "a.yaml": on("b.yaml"), "b.yaml": on("a.yaml")},
        [f"b.yaml:2:22: {CIRCLE}a.yaml → b.yaml → a.yaml"],
    ),
    (
        {"top.yaml": on("a.yaml"), "a.yaml": on("b.yaml"), "b.yaml": on("top.yaml")},
        [f"b.yaml:2:22: {CIRCLE}top.yaml → a.yaml → b.yaml → top.yaml"],
    ),
    ({"top.yaml": on("link.yaml"), "link.yaml": "→top.yaml"}, [f"top.yaml:2:22: {CIRCLE}top.yaml → top.yaml"]),
    (
        {"top.yaml": on("d/c.yaml"), "d/c.yaml": on("../e/c.yaml"), "e/c.yaml": on("../d/c.yaml")},
        [f"d/../e/c.yaml:2:22: {CIRCLE}d/c.yaml → e/c.yaml → d/c.yaml"],
    ),
    # files that cannot be read, shown where they are named
    (
        {"top.yaml": on("absent.yaml")},
        ["top.yaml:2:22: baseConfigs[0].path: base configuration absent.yaml: there is no such file"],
    ),
    (
        {"top.yaml": on("a.yaml"), "a.yaml": on("d/absent.yaml")},
        ["a.yaml:2:22: baseConfigs[0].path: base configuration d/absent.yaml: there is no such file"],
    ),
    (
        {"top.yaml": on("d"), "d/a.yaml": "{}"},
        ["top.yaml:2:22: baseConfigs[0].path: base configuration d: this is a directory, a YAML file is wanted"],
    ),
    (
        {"top.yaml": on("a.yaml/b.yaml"), "a.yaml": "{}"},
        ["top.yaml:2:22: baseConfigs[0].path: base configuration a.yaml/b.yaml: the file cannot be read: "
         "Not a directory"],
    ),
    (
        {"top.yaml": on("a.yaml"), "a.yaml": "# nothing\n"},
        ["top.yaml:2:22: baseConfigs[0].path: base configuration a.yaml: the file is empty "
         "(write {} for a configuration without settings)"],
    ),
    (
        {"top.yaml": on("link.yaml"), "link.yaml": "→link.yaml"},
        ["top.yaml:2:22: baseConfigs[0].path: base configuration link.yaml: the file cannot be read: "
         "Too many levels of symbolic links"],
    ),
    # mistakes inside, shown where they are
    (
        {"top.yaml": on("a.yaml"), "a.yaml": "[]"},
        ["a.yaml:1:1: expected a mapping (lines of 'key: value'), found a list"],
    ),
    (
        {"top.yaml": on("a.yaml"), "a.yaml": "os:\n  hostnam: a\n"},
        ["a.yaml:2:3: os.hostnam: unknown key 'hostnam' (did you mean 'hostname'?)"],
    ),
    (
        {"top.yaml": on("a.yaml"), "a.yaml": "os: {hostname: a, hostname: b}"},
        ["a.yaml:1:19: the key 'hostname' is given twice (it is first given at line 1, column 6)"],
    ),
    # what is wrong with the list itself
    (
        {"top.yaml": "previewFeatures: [base-configs]\nbaseConfigs: [a.yaml]\n"},
        ["top.yaml:2:15: baseConfigs[0]: expected a mapping (lines of 'key: value'), found the value 'a.yaml'"],
    ),
    ({"top.yaml": HEAD + "[{}]"}, ["top.yaml:2:15: baseConfigs[0].path: this key is required and missing"]),
    ({"top.yaml": HEAD + "[{path: ' '}]"}, ["top.yaml:2:22: baseConfigs[0].path: the value may not be empty"]),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), BROKEN)
def test_broken_chains(problems_of: ProblemsOf, files: dict[str, str], expected: list[str]) -> None:
    assert problems_of(files) == expected


def test_names_that_no_file_has(problems_of: ProblemsOf) -> None:
    problem = problems_of({"top.yaml": on("a" * 300)})[-1]
    assert problem.startswith("top.yaml:2:22: baseConfigs[0].path: base configuration a")
    assert problem.endswith(": the file cannot be read: File name too long")
    problems = problems_of({"top.yaml": on('"a\\0b"')})
    assert problems == [
        "top.yaml:2:22: the value contains a NUL character",
        "top.yaml:2:22: baseConfigs[0].path: base configuration a\ufffdb: there is no such file",
    ]


def test_a_base_that_is_not_yaml_and_one_that_is_not_text(tmp_path: Path, problems_of: ProblemsOf) -> None:
    (tmp_path / "b.yaml").write_bytes(b"os: \xff")
    first, second = problems_of({"top.yaml": on("a.yaml", "b.yaml"), "a.yaml": "os: [\n"})
    assert first.startswith("a.yaml:2:1: this is not valid YAML: ")
    assert second.startswith("b.yaml:1:5: the file is not UTF-8 text")


def test_the_mistakes_of_all_files_are_reported_together(problems_of: ProblemsOf) -> None:
    files = {
        "top.yaml": on("a.yaml", "absent.yaml", "b.yaml") + "os: {packages: {installLists: [l.yaml, l.yaml]}}\n",
        "a.yaml": on("c.yaml") + "os: {hostname: a_b, packages: {removeLists: [l.yaml]}}\n",
        "b.yaml": on("c.yaml") + "storage: {bootType: uefi}\n",
        "c.yaml": "storage: {bootType: efi}\n",
        "l.yaml": "packages: x\n",
    }
    assert [problem.split(": ")[:2] for problem in problems_of(files)] == [
        ["a.yaml:3:16", "os.hostname"],
        ["b.yaml:3:1", "storage"],
        ["b.yaml:3:21", "storage.bootType"],
        ["c.yaml:1:21", "storage.bootType"],
        ["l.yaml:1:11", "packages"],  # once, although three keys name the file
        ["top.yaml:2:38", "baseConfigs[1].path"],
    ]


STORAGE = "another file of the chain has this section already: a.yaml (storage is not merged: keep it in one file)"
RESET = "os: {bootloader: {resetType: hard-reset}}\nstorage: {resetPartitionsUuidsType: reset-all}\n"
VERITY = "previewFeatures: [reinitialize-verity]\nstorage: {reinitializeVerity: none}\n"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (VERITY, "storage: {disks: [], filesystems: }", [f"top.yaml:4:1: storage: {STORAGE}"]),
        (VERITY, RESET, [f"b.yaml:2:1: storage: {STORAGE}", f"top.yaml:4:1: storage: {STORAGE}"]),
        ("{}", "storage: {}", []),
        # also when something else is wrong
        (
            VERITY,
            "os: {hostnames: a}",
            [
                "b.yaml:1:6: os.hostnames: unknown key 'hostnames' (did you mean 'hostname'?)",
                f"top.yaml:4:1: storage: {STORAGE}",
            ],
        ),
        (
            VERITY,
            "storage: {bootTyp: efi}",
            [
                f"b.yaml:1:1: storage: {STORAGE}",
                "b.yaml:1:11: storage.bootTyp: unknown key 'bootTyp' (did you mean 'bootType'?)",
                f"top.yaml:4:1: storage: {STORAGE}",
            ],
        ),
    ],
)
def test_storage_is_in_one_file(load: Load, problems_of: ProblemsOf, a: str, b: str, expected: list[str]) -> None:
    files = {"top.yaml": on("a.yaml", "b.yaml") + RESET, "a.yaml": a, "b.yaml": b}
    if expected:
        assert problems_of(files) == expected
    else:
        assert load(files).config.storage.reset_partitions_uuids_type == "reset-all"


def needs(feature: str) -> str:
    return f"this needs the preview feature '{feature}' (add {feature} to the list previewFeatures of this file)"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # the features of a file count for its own keys alone
        (
            {"top.yaml": on("a.yaml") + "os: {uki: {mode: create}}", "a.yaml": "previewFeatures: [uki]"},
            [f"top.yaml:3:11: os.uki: {needs('uki')}"],
        ),
        (
            {"top.yaml": on("a.yaml").replace("base-configs]", "base-configs, uki]"), "a.yaml": "os: {uki: {}}"},
            [f"a.yaml:1:11: os.uki: {needs('uki')}"],
        ),
        (
            {"top.yaml": on("a.yaml"), "a.yaml": "baseConfigs: [{path: b.yaml}]", "b.yaml": "{}"},
            [f"a.yaml:1:14: baseConfigs: {needs('base-configs')}"],
        ),
        # an empty list is a use too; bases are read although they are not unlocked
        ({"top.yaml": "baseConfigs: []"}, [f"top.yaml:1:14: baseConfigs: {needs('base-configs')}"]),
        (
            {"top.yaml": "baseConfigs: [{path: absent.yaml}]"},
            [
                f"top.yaml:1:14: baseConfigs: {needs('base-configs')}",
                "top.yaml:1:22: baseConfigs[0].path: base configuration absent.yaml: there is no such file",
            ],
        ),
        # what another file says does not make this one right
        (
            {"top.yaml": on("a.yaml") + RESET.splitlines()[0], "a.yaml": RESET.splitlines()[1]},
            [
                "a.yaml:1:37: os.bootloader.resetType: this key is required together with "
                "'storage.resetPartitionsUuidsType' (add resetType: hard-reset below os.bootloader)"
            ],
        ),
    ],
)
def test_each_file_must_be_right_by_itself(problems_of: ProblemsOf, files: dict[str, str], expected: list[str]) -> None:
    assert problems_of(files) == expected


def test_null_for_the_list_is_no_use_of_it(load: Load) -> None:
    assert len(load({"top.yaml": "baseConfigs:"}).files) == 1


@pytest.mark.parametrize(
    ("base", "top", "expected"),
    [
        ("mountPoint: /m, upperDir: /u, workDir: /w", "mountPoint: /m, upperDir: /u, workDir: /w", None),
        ("mountPoint: /m, upperDir: /u, workDir: /w", "mountPoint: /n, upperDir: /v, workDir: /x", None),
        ("mountPoint: /m, upperDir: /u, workDir: /w", "mountPoint: /m/, upperDir: /v, workDir: /x", "mountPoint '/m/'"),
        ("mountPoint: /m, upperDir: /u, workDir: /w", "mountPoint: /n, upperDir: /u, workDir: /x", "upperDir '/u'"),
    ],
)
def test_overlays_of_two_files(load: Load, problems_of: ProblemsOf, base: str, top: str, expected: str | None) -> None:
    def overlay(text: str) -> str:
        return f"os: {{overlays: [{{lowerDirs: [/l], {text}}}]}}\n"

    files = {"top.yaml": on("base.yaml") + overlay(top), "base.yaml": overlay(base)}
    if expected is None:
        load(files)
    else:
        (problem,) = problems_of(files)
        assert problem.startswith("top.yaml:3:") and f"the {expected} is already used by an overlay of " in problem
