"""Which of our modules the agent needs: those that its programs import, directly or not."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

OURS = "twinroot"


@dataclass(frozen=True)
class Closure:
    """Our modules, by name with their files; and other people's top-level packages that they import."""

    modules: dict[str, Path]
    others: frozenset[str]


def closure(source: Path, roots: Iterable[str]) -> Closure:
    """Follow the imports, those within functions too, of modules below `source`."""
    modules: dict[str, Path] = {}
    others: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        path = _file(source, name)
        if path is None or name in modules:
            continue
        modules[name] = path
        waiting += [name.rpartition(".")[0]] * ("." in name)
        for imported in _imports(path):
            if imported.split(".")[0] == OURS:
                waiting.append(imported)
            elif imported.split(".")[0] not in sys.stdlib_module_names:
                others.add(imported.split(".")[0])
    return Closure(dict(sorted(modules.items())), frozenset(others))


def _file(source: Path, module: str) -> Path | None:
    """The file of a module; None for a name that is something within a module."""
    place = source / module.replace(".", "/")
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    """Every name that may be a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
