"""The documentation: generated pages are fresh, links lead somewhere, configurations in it are accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from docs.generate import documents

from twinroot.config.decode import decode
from twinroot.config.image.file import read_file
from twinroot.config.image.packages import PackageList
from twinroot.config.load_host import load_host_config
from twinroot.config.load_inject_files import load_inject_files
from twinroot.config.yaml import read_document

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "distro-rpm").glob("*.md")]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HERE_DOCUMENT = re.compile(r"<< 'EOF' > \S+\n(.*?)^EOF$", re.MULTILINE | re.DOTALL)
_TOP_LEVEL = (
    "input:",
    "storage:",
    "os:",
    "output:",
    "iso:",
    "scripts:",
    "previewFeatures:",
    "# yaml-language-server:",
    "image:",
    "trident:",
)
EXAMPLES = ROOT / "docs/config-examples"


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


GENERATED = documents()


@pytest.mark.parametrize("path", GENERATED, ids=name)
def test_generated_page_is_fresh(path: Path) -> None:
    assert path.read_text() == GENERATED[path], "stale: run python -m docs.generate"


def test_the_command_line_is_told_whole() -> None:
    page = GENERATED[ROOT / "docs/reference/command-line.md"]
    for command in ("twinroot config check", "twinroot config show", "twinroot config schema", "twinroot convert"):
        assert f"\n### {command}\n" in page
    assert "twinroot convert [flags] IN OUT\n" in page
    assert "twinroot config check FILE... [--language" in page
    assert "Install the OS image of a host configuration" in page
    for left in ("%(", "None\n"):
        assert left not in page


def anchors(page: Path) -> set[str]:
    """The places in a page that links can name, as GitHub derives them from headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), link
        assert not anchor or anchor in anchors(found), link


def complete_configurations() -> list[tuple[str, str]]:
    """Every whole configuration in the documentation: YAML that begins with a top-level key. Others are pieces."""
    found = []
    for page in PAGES:
        text = page.read_text()
        blocks = [*_YAML.findall(text), *_HERE_DOCUMENT.findall(text)]
        found += [(name(page), block) for block in blocks if block.startswith(_TOP_LEVEL)]
    return found


@pytest.mark.parametrize(("page", "text"), complete_configurations())
def test_configurations_are_accepted(page: str, text: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    if "host-config" in page or text.startswith("image:"):
        assert load_host_config(config).warnings == ()
    elif "injectFiles:" in text:
        assert load_inject_files(config).config.inject_files
    else:
        assert read_file(config)[1] == []


def test_the_package_list_is_accepted() -> None:
    decoded = decode(read_document(EXAMPLES / "package-list.yaml"), PackageList)
    assert decoded.model == PackageList(packages=("openssh-server", "vim"))


def test_the_tutorial_makes_the_example() -> None:
    text = (ROOT / "docs/tutorial/build-an-ab-image.md").read_text()
    [config] = _HERE_DOCUMENT.findall(text)
    assert yaml.safe_load(config) == yaml.safe_load((ROOT / "examples/ab-image.yaml").read_text())
