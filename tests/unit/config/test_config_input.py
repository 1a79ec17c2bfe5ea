"""`input`: path, registry, Azure Linux."""

from __future__ import annotations

import pytest
from tests.unit.config.marked import ConfigOf, ProblemsOf, Wrong, assert_one_problem, unmarked

from twinroot.config.image.input import AzureLinuxImage, InputImage, OciImage, OciPlatform

FEATURES = "previewFeatures: [input-image-oci]\n"
SHA256 = f"sha256:{'0a' * 32}"


def oci(uri: str, **platform: str) -> InputImage:
    return InputImage(oci=OciImage(uri=uri, platform=OciPlatform.model_validate(platform) if platform else None))


RIGHT: list[tuple[str, InputImage]] = [
    ("", InputImage()),
    ("{}", InputImage()),
    ("{path: '', oci: , azureLinux: }", InputImage()),
    ("{path: base.vhdx}", InputImage(path="base.vhdx")),
    ("{path: /a b/c.iso, oci: ~}", InputImage(path="/a b/c.iso")),
    # references
    ("{oci: a/b}", oci("a/b")),
    ("{oci: {uri: a/b}}", oci("a/b")),
    ("{path: '', oci: 'mcr.microsoft.com/azurelinux/3.0/image/minimal-os:latest'}",
        oci("mcr.microsoft.com/azurelinux/3.0/image/minimal-os:latest")),
    ("{oci: 'localhost:5000/a__b/c.d--e:V_1.0-x'}", oci("localhost:5000/a__b/c.d--e:V_1.0-x")),
    ("{oci: '[::1]:5000/a'}", oci("[::1]:5000/a")),
    (f"{{oci: 'a/b@{SHA256}'}}", oci(f"a/b@{SHA256}")),
    (f"{{oci: 'a/b:1@{SHA256}'}}", oci(f"a/b:1@{SHA256}")),
    (f"{{oci: 'a/b@sha512:{'0a' * 64}'}}", oci(f"a/b@sha512:{'0a' * 64}")),
    # platforms
    ("{oci: {uri: a/b, platform: }}", oci("a/b")),
    ("{oci: {uri: a/b, platform: linux}}", oci("a/b", os="linux")),
    ("{oci: {uri: a/b, platform: linux/amd64}}", oci("a/b", os="linux", architecture="amd64")),
    ("{oci: {uri: a/b, platform: {os: linux, architecture: arm64}}}", oci("a/b", os="linux", architecture="arm64")),
    ("{oci: {uri: a/b, platform: {os: '', architecture: arm64}}}", oci("a/b", architecture="arm64")),
    ("{oci: {uri: a/b, platform: {os: any/thing/at/all}}}", oci("a/b", os="any/thing/at/all")),
    ("{oci: {uri: a/b, platform: {}}}", InputImage(oci=OciImage(uri="a/b", platform=OciPlatform()))),
    # Azure Linux
    ("{azureLinux: {variant: minimal-os, version: 3.0}}",
        InputImage(azure_linux=AzureLinuxImage(variant="minimal-os", version="3.0"))),
    ("{azureLinux: {variant: a.b_c__d--e, version: 3.10.20250910}}",
        InputImage(azure_linux=AzureLinuxImage(variant="a.b_c__d--e", version="3.10.20250910"))),
    ("{azureLinux: {variant: 5, version: 3.10}}", InputImage(azure_linux=AzureLinuxImage(variant="5", version="3.10"))),
]  # fmt: skip

NOT_A_REFERENCE = [
    "",
    "a",
    "a/",
    "/b",
    "a//b",
    "https://a/b",
    "a/B",
    "a/b:",
    "a/b:-1",
    "a/b:1:2",
    "a/b c",
    "a/b@",
    "a/b@sha256:0a",
    f"a/b@{SHA256.upper()}",
    f"a/b@md5:{'0a' * 32}",
    "oci:a/b",
    "a/" + "b" * 1100,
]

B = "input.image"
FEATURE = "previewFeatures: [input-image-oci]\n"
WRONG: list[Wrong] = [
    ("input: «base.raw", "input", "expected a mapping"),
    ("input: {image: «base.raw}", B, "expected a mapping (lines of 'key: value'), found the value 'base.raw'"),
    ("input: {image: {path: «[a]}}", B + ".path", "expected a single value, found a list"),
    ("input: {image: {«file: a}}", B + ".file", "unknown key 'file'"),
    ("input: {image: {oci: «[a/b]}}", B + ".oci", "expected a mapping"),
    ("input: {image: {oci: «{}}}", B + ".oci.uri", "this key is required and missing"),
    ("input: {image: {oci: {uri: «''}}}", B + ".oci.uri", "'' is not a registry reference"),
    ("input: {image: {oci: {uri: «a}}}", B + ".oci.uri", "'a' is not a registry reference"),
    (FEATURE + "input: {image: {oci: {uri: a/b, «tag: c}}}", B + ".oci.tag", "unknown key 'tag'"),
    ("input:\n  image:\n    oci:\n      uri: a/b\n      «platforms: c\n", B + ".oci.platforms",
        "unknown key 'platforms'"),
    (FEATURE + "input: {image: {oci: {uri: a/b, platform: {os: c, «arch: d}}}}", B + ".oci.platform.arch",
        "unknown key 'arch'"),
    ("input: {image: {oci: {uri: a/b, platform: «a/b/c/d/e}}}", B + ".oci.platform", "'a/b/c/d/e' is not a platform"),
    ("input: {image: {oci: {uri: a/b, platform: «a/b/c}}}", B + ".oci.platform", "'a/b/c' is not a platform"),
    ("input: {image: {oci: {uri: a/b, platform: «linux/}}}", B + ".oci.platform", "'linux/' is not a platform"),
    ("input: {image: {oci: {uri: a/b, platform: «/amd64}}}", B + ".oci.platform", "'/amd64' is not a platform"),
    ("input: {image: {oci: {uri: a/b, platform: «''}}}", B + ".oci.platform", "'' is not a platform"),
    ("input: {image: {oci: {uri: a/b, platform: «[linux]}}}", B + ".oci.platform", "expected a mapping"),
    ("input: {image: {oci: {uri: a/b, platform: {os: «[linux]}}}}", B + ".oci.platform.os",
        "expected a single value, found a list"),
    ("input: {image: {azureLinux: «minimal-os}}", B + ".azureLinux", "expected a mapping"),
    ("input: {image: {azureLinux: «{version: 3.0}}}", B + ".azureLinux.variant", "this key is required and missing"),
    ("input: {image: {azureLinux: «{variant: a}}}", B + ".azureLinux.version", "this key is required and missing"),
    ("input: {image: {azureLinux: {variant: «'', version: 3.0}}}", B + ".azureLinux.variant", "'' is not a variant"),
    ("input: {image: {azureLinux: {variant: «Core, version: 3.0}}}", B + ".azureLinux.variant",
        "'Core' is not a variant"),
    ("input: {image: {azureLinux: {variant: «a___b, version: 3.0}}}", B + ".azureLinux.variant",
        "'a___b' is not a variant"),
    ("input: {image: {azureLinux: {variant: «a/b, version: 3.0}}}", B + ".azureLinux.variant",
        "'a/b' is not a variant"),
    ("input: {image: {azureLinux: {variant: «-a, version: 3.0}}}", B + ".azureLinux.variant", "'-a' is not a variant"),
    ("input: {image: {azureLinux: {variant: a, version: «''}}}", B + ".azureLinux.version", "'' is not a version"),
    ("input: {image: {azureLinux: {variant: a, version: «3}}}", B + ".azureLinux.version", "'3' is not a version"),
    ("input: {image: {azureLinux: {variant: a, version: «v3.0}}}", B + ".azureLinux.version",
        "'v3.0' is not a version"),
    ("input: {image: {azureLinux: {variant: a, version: «3.0.1.2}}}", B + ".azureLinux.version",
        "'3.0.1.2' is not a version"),
    ("input: {image: {azureLinux: {variant: a, version: «latest}}}", B + ".azureLinux.version",
        "'latest' is not a version"),
    # one kind at most
    (FEATURES + "input: {image: {path: a, oci: «a/b}}", B + ".oci", "'path' and 'oci' may not be given together"),
    ("input: {image: {path: a, azureLinux: «{variant: a, version: 3.0}}}", B + ".azureLinux",
        "'path' and 'azureLinux' may not be given together"),
    (FEATURES + "input: {image: {azureLinux: «{variant: a, version: 3.0}, oci: a/b}}", B + ".azureLinux",
        "'oci' and 'azureLinux' may not be given together"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "image"), RIGHT)
def test_input(config_of: ConfigOf, text: str, image: InputImage) -> None:
    assert config_of(f"{FEATURES}input: {{image: {text}}}").input.image == image


@pytest.mark.parametrize(("text", "key", "message"), WRONG)
def test_one_mistake(problems_of: ProblemsOf, text: str, key: str, message: str) -> None:
    assert_one_problem(problems_of(f"{unmarked(text)}\n{'' if FEATURES in text else FEATURES}"), text, key, message)


@pytest.mark.parametrize("reference", NOT_A_REFERENCE)
def test_what_is_no_reference(problems_of: ProblemsOf, reference: str) -> None:
    (problem,) = problems_of(f"input: {{image: {{oci: {reference!r}}}}}\n{FEATURES}")
    assert (problem.line, problem.column, problem.key) == (1, 22, B + ".oci")
    assert "is not a registry reference" in problem.message


def test_all_three_at_once(problems_of: ProblemsOf) -> None:
    text = FEATURES + "input: {image: {path: a, oci: a/b, azureLinux: {variant: a, version: 3.0}}}"
    assert [problem.key for problem in problems_of(text)] == [B + ".oci", B + ".azureLinux"]
