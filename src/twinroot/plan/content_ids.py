"""What each step's result depends on, as one id: equal ids stand for equal trees. Pure.

A step's id covers its own ingredients and those of every step before it, so an unchanged prefix of two runs has equal
ids.

Every image gets identifiers of its own (`identity`), which some steps write into the tree: fstab, the boot loader.
Their new content is easily written again over an old tree, so the ids of the usual steps leave the identity out, and
whoever takes up an old tree carries those steps out again (`to_repeat`). A script may have read anything, so its id
includes the identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twinroot.plan.steps import Action, Step

# Steps that write the image's identifiers, and labelling, as files that are written again have no labels.
_REPEATED = frozenset(
    {Action.FSTAB, Action.RELEASE, Action.HISTORY, Action.BOOT_LOADER, Action.VERITY, Action.UKI, Action.RELABEL}
)
# What they leave follows from the identifiers of this image: those that a kept disk had before are gone then.
_OPAQUE = frozenset({Action.FSTAB_IDENTIFIERS, Action.POST_SCRIPTS, Action.FINAL_SCRIPTS})
_EXPENSIVE = frozenset({Action.PACKAGES, Action.INITRAMFS, Action.POST_SCRIPTS, Action.FINAL_SCRIPTS})


@dataclass(frozen=True)
class Ingredient:
    """One thing that a result depends on: a name for people, and a digest of it."""

    name: str
    digest: str


@dataclass(frozen=True)
class Recipe:
    """A step with everything that its result depends on, apart from the steps before it."""

    title: str
    action: str
    ingredients: tuple[Ingredient, ...]


@dataclass(frozen=True)
class Change:
    """The first step that is not as it was, and the names of what changed; `step` is None for what comes before all."""

    step: int | None
    names: tuple[str, ...]


def content_ids(foundation: Sequence[Ingredient], recipes: Sequence[Recipe], identity: str) -> tuple[str, ...]:
    """An id for the tree after each step. `foundation` is what all of it stands on: the base image, the layout, us."""
    previous = _digest(["foundation", *_pairs(foundation)])
    found = []
    for recipe in recipes:
        seen = [identity] if recipe.action in _OPAQUE else []
        previous = _digest([previous, recipe.action, *seen, *_pairs(recipe.ingredients)])
        found.append(previous)
    return tuple(found)


def worth_keeping(steps: Sequence[Step]) -> frozenset[int]:
    """The steps after which the tree is kept: those that take long, the last one of several in a row."""
    last = len(steps) - 1
    return frozenset(
        index
        for index, step in enumerate(steps)
        if step.action in _EXPENSIVE and (index == last or steps[index + 1].action != step.action)
    )


def to_repeat(steps: Sequence[Step]) -> frozenset[int]:
    """Of the steps that a tree has behind it those that must be carried out again for another image."""
    again = {index for index, step in enumerate(steps) if step.action in _REPEATED}
    if any(step.action is Action.FSTAB for step in steps):
        # They add to the fstab that is written again.
        again |= {index for index, step in enumerate(steps) if step.action is Action.OVERLAYS}
    return frozenset(again)


def to_carry_out(steps: Sequence[Step], done: int) -> frozenset[int]:
    """The steps to carry out over a tree that has `done` of them behind it, for another image."""
    return frozenset(range(done, len(steps))) | to_repeat(steps[:done])


def explain(steps: Sequence[Step], done: int, change: Change | None, *, first: bool = False) -> Iterator[str]:
    """What is carried out over a tree that has `done` steps behind it, and why, for people.

    `change` is the first since the last run of the configuration; `first` says that there was none.
    """
    place = 0 if first else len(steps) if change is None else change.step or 0
    if first:
        yield "this configuration has not been built with this cache yet"
    elif change is None:
        yield "no input has changed"
    for name in change.names if change else ():
        if done > place:
            yield f"{name}, and an earlier run had the same"
        elif change and change.step is None:
            yield f"everything must be done again: {name}"
        else:
            yield f"'{steps[place].title}' and what comes after it must be done again: {name}"
    wanted = to_carry_out(steps, done)
    for index, step in enumerate(steps):
        if index in wanted:
            yield f"run: {step.title}{_why_nevertheless(steps, index, done, place)}"
        else:
            yield f"as it was: {step.title}"


def _why_nevertheless(steps: Sequence[Step], index: int, done: int, changed: int) -> str:
    """Why a step is carried out although nothing that it depends on changed; empty where something did."""
    if index < done:
        return " (it writes this image's own identifiers)"
    if done <= changed <= index:
        return ""
    if any(step.action in _OPAQUE for step in steps[: index + 1]):
        return " (it may depend on this image's own identifiers)"
    return " (no tree is kept that has it behind it)"


def first_change(
    before: tuple[Sequence[Ingredient], Sequence[Recipe]], now: tuple[Sequence[Ingredient], Sequence[Recipe]]
) -> Change | None:
    """What makes a run differ from an earlier one, at the first step that it touches; None when nothing does."""
    names = _changed(before[0], now[0])
    if names:
        return Change(None, names)
    for index, recipe in enumerate(now[1]):
        if index >= len(before[1]) or before[1][index].action != recipe.action:
            return Change(index, ("this step is new here",))
        names = _changed(before[1][index].ingredients, recipe.ingredients)
        if names:
            return Change(index, names)
    return None


def _changed(before: Sequence[Ingredient], now: Sequence[Ingredient]) -> tuple[str, ...]:
    old, new = {i.name: i.digest for i in before}, {i.name: i.digest for i in now}
    changed = [f"{name} changed" for name in new if name in old and old[name] != new[name]]
    added = [f"{name} is new" for name in new if name not in old]
    gone = [f"{name} is gone" for name in old if name not in new]
    return (*changed, *added, *gone)


def _pairs(ingredients: Sequence[Ingredient]) -> list[list[str]]:
    return [[ingredient.name, ingredient.digest] for ingredient in ingredients]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
