"""Which language a file is written in. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from twinroot.config.document import Document, Items, Mapping, Node
from twinroot.config.host.config import HostConfig
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.inject_files import InjectFilesConfig
from twinroot.config.load_host import OLD_KEYS
from twinroot.config.problems import KeyPath
from twinroot.config.section import Section
from twinroot.config.shape import fields_at

_LANGUAGES: tuple[tuple[str, type[Section], tuple[str, ...]], ...] = (
    ("image", ImageConfig, ()),
    ("host", HostConfig, tuple(OLD_KEYS)),
    ("inject-files", InjectFilesConfig, ()),
)
_DEPTH = 3
"""Objects below each other to look at: `storage.disks[].device` tells languages apart that `storage` does not."""


def language_of(document: Document) -> str:
    """`image`, `host` or `inject-files`: that which knows most of the keys near the top; in doubt an image."""
    known = {name: _known_keys(document.root, model, extra) for name, model, extra in _LANGUAGES}
    return max(known, key=lambda name: known[name])


def _known_keys(root: Node, model: type[Section], extra: tuple[str, ...]) -> int:
    old = sum(key in root.values for key in extra) if isinstance(root, Mapping) else 0
    return old + sum(key in fields_at(model, path) for path, mapping in _objects(root, ()) for key in mapping.values)


def _objects(node: Node, path: KeyPath) -> Iterator[tuple[KeyPath, Mapping]]:
    """The objects near the top, with their key paths."""
    if isinstance(node, Items):
        for index, item in enumerate(node.items):
            yield from _objects(item, (*path, index))
    elif isinstance(node, Mapping):
        yield path, node
        if sum(isinstance(step, str) for step in path) + 1 < _DEPTH:
            for key, value in node.values.items():
                yield from _objects(value, (*path, key))
