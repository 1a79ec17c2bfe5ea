"""Which language a file is written in. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from twinroot.config.document import Document, Items, Mapping, Node
from twinroot.config.host.config import HostConfig
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.inject_files import InjectFilesConfig
from twinroot.config.load_host import OLD_KEYS
from twinroot.config.problems import KeyPath
from twinroot.config.secrets import secrets_in, without_secrets
from twinroot.config.section import Section
from twinroot.config.shape import fields_at
from twinroot.errors import ConfigError

_LANGUAGES: tuple[tuple[str, type[Section], tuple[str, ...]], ...] = (
    ("image", ImageConfig, ()),
    ("host", HostConfig, tuple(OLD_KEYS)),
    ("inject-files", InjectFilesConfig, ()),
)
_TAKEN_BY = {
    "image": ("an image configuration", "twinroot customize takes it, and twinroot config check checks it"),
    "host": ("a host configuration", "trident takes it, and trident validate checks it"),
    "inject-files": ("a configuration of inject-files", "twinroot config check checks it"),
}
_DEPTH = 3
"""Objects below each other to look at: `storage.disks[].device` tells languages apart that `storage` does not."""
_SEVERAL = 2


def language_of(document: Document) -> str:
    """`image`, `host` or `inject-files`: that which knows most of the keys near the top; in doubt an image."""
    known = _known_keys(document)
    return max(known, key=lambda name: len(known[name]))


def refuse_another_language(document: Document, wanted: str) -> None:
    """ConfigError with one problem for a document that is meant for another language than `wanted`.

    It holds keys of the other language, at the top or several, and none that `wanted` alone has.
    """
    found = language_of(document)
    known = _known_keys(document)
    others = [path for path in known[found] if path not in known[wanted]]
    if found == wanted or known[wanted].keys() - known[found].keys():
        return
    if len(others) < _SEVERAL and not any(len(path) == 1 for path in others):
        return
    what, hint = _TAKEN_BY[found]
    message = f"this seems to be {what}, and {_TAKEN_BY[wanted][0]} is wanted"
    problem = replace(document.problem_with_key(min(others, key=len), message, hint), key="")
    raise ConfigError([without_secrets(problem, secrets_in(document))])


def _known_keys(document: Document) -> dict[str, dict[KeyPath, None]]:
    """The key paths near the top that each language knows, in the order of the file."""
    return {name: dict.fromkeys(_known_to(document.root, model, extra)) for name, model, extra in _LANGUAGES}


def _known_to(root: Node, model: type[Section], extra: tuple[str, ...]) -> Iterator[KeyPath]:
    if isinstance(root, Mapping):
        yield from ((key,) for key in root.values if key in extra)
    for path, mapping in _objects(root, ()):
        fields = fields_at(model, path)
        yield from ((*path, key) for key in mapping.values if key in fields)


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
