"""Several node trees to one: what a later file says is added to what earlier ones say, or takes its place.

Mappings are merged key by key, lists are put one after the other, of single values the last that is set counts.
`exceptions` name the key paths for which something else holds. Every value keeps its place.
"""

from __future__ import annotations

from collections.abc import Mapping as Table
from collections.abc import Sequence
from enum import Enum, auto

from twinroot.config.document import Items, Mapping, Node, Scalar
from twinroot.config.problems import KeyPath


class How(Enum):
    """Other ways to merge."""

    LAST_OBJECT = auto()
    """The last object that is there, with nothing of the others."""
    LAST_FILLED = auto()
    """The same, but an object without any value does not count."""
    UNION = auto()
    """A list without repetitions, in the order of first occurrence."""
    ANY_TRUE = auto()
    """A switch that any file can turn on, and none off."""
    LEFT_OUT = auto()
    """Not in the result."""


def merge(roots: Sequence[Node], exceptions: Table[KeyPath, How]) -> Node:
    """Merge trees of files of one language, at least one; later ones go over earlier ones.

    Where a file has a value of another kind than an earlier one, its value takes the place.
    """
    merged = roots[0]
    for root in roots[1:]:
        merged = _merge(merged, root, (), exceptions)
    return _without(merged, exceptions)


def _merge(base: Node, over: Node, path: KeyPath, exceptions: Table[KeyPath, How]) -> Node:
    how = exceptions.get(path)
    if _is_unset(over):
        return base
    if _is_unset(base) or how is How.LAST_OBJECT:
        return over
    if how is How.LAST_FILLED:
        return over if _is_filled(over) else base
    if how is How.ANY_TRUE:
        return base if _is_true(base) and not _is_true(over) else over
    if isinstance(base, Items) and isinstance(over, Items):
        if not over.items:
            return base  # an empty list adds nothing; the place is that of the values
        return Items(over.place, _union(base, over) if how is How.UNION else base.items + over.items)
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        values = dict(base.values)
        for key, value in over.values.items():
            values[key] = _merge(values[key], value, (*path, key), exceptions) if key in values else value
        return Mapping(over.place, values, base.keys | over.keys)
    return over


def _without(root: Node, exceptions: Table[KeyPath, How]) -> Node:
    left_out = {path[0] for path, how in exceptions.items() if how is How.LEFT_OUT and len(path) == 1}
    if not isinstance(root, Mapping):
        return root
    values = {key: value for key, value in root.values.items() if key not in left_out}
    return Mapping(root.place, values, root.keys)


def _is_unset(node: Node) -> bool:
    return isinstance(node, Scalar) and not node.text


def _is_filled(node: Node) -> bool:
    return not isinstance(node, Mapping) or any(not _is_unset(value) for value in node.values.values())


def _is_true(node: Node) -> bool:
    return isinstance(node, Scalar) and (node.text or "").lower() in ("true", "yes", "on", "y")


def _union(base: Items, over: Items) -> tuple[Node, ...]:
    seen: set[str | None] = set()
    found: list[Node] = []
    for item in base.items + over.items:
        text = item.text if isinstance(item, Scalar) else None
        if text not in seen:
            seen.add(text)
            found.append(item)
    return tuple(found)
