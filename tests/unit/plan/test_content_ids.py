"""Ids of steps: equal exactly as long as nothing that a step depends on has changed."""

from __future__ import annotations

import pytest

from twinroot.plan.content_ids import (
    Change,
    Ingredient,
    Recipe,
    content_ids,
    explain,
    first_change,
    to_carry_out,
    worth_keeping,
)
from twinroot.plan.steps import Action, Step

GROUND = (Ingredient("base", "1"), Ingredient("tool", "1"))


def recipe(action: Action, **ingredients: str) -> Recipe:
    return Recipe(action.value, action.value, tuple(Ingredient(name, digest) for name, digest in ingredients.items()))


STEPS = (
    recipe(Action.FSTAB),
    recipe(Action.PACKAGES, list="a", repository="b"),
    recipe(Action.HOSTNAME, name="c"),
    recipe(Action.INITRAMFS),
)


def common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many ids at the beginning are the same; after the first difference none may be."""
    same = [left == right for left, right in zip(one, other, strict=False)]
    count = same.index(False) if False in same else len(same)
    assert not any(same[count:])
    return count


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (STEPS, 4),
        ((STEPS[0], recipe(Action.PACKAGES, list="A", repository="b"), *STEPS[2:]), 1),
        ((STEPS[0], recipe(Action.PACKAGES, list="a"), *STEPS[2:]), 1),
        ((STEPS[0], recipe(Action.PACKAGES, list="a", repository="b", more="c"), *STEPS[2:]), 1),
        ((*STEPS[:2], recipe(Action.HOSTNAME, name="d"), STEPS[3]), 2),
        ((*STEPS[:2], STEPS[3]), 2),
        ((STEPS[1], STEPS[0], *STEPS[2:]), 0),
    ],
)
def test_a_step_and_all_after_it_follow_its_ingredients(changed: tuple[Recipe, ...], same: int) -> None:
    assert common(content_ids(GROUND, STEPS, "x"), content_ids(GROUND, changed, "x")) == same


def test_everything_follows_what_it_stands_on() -> None:
    other = (Ingredient("base", "2"), GROUND[1])
    assert common(content_ids(GROUND, STEPS, "x"), content_ids(other, STEPS, "x")) == 0


def test_titles_do_not_count() -> None:
    renamed = tuple(Recipe("another title", each.action, each.ingredients) for each in STEPS)
    assert content_ids(GROUND, STEPS, "x") == content_ids(GROUND, renamed, "x")


def test_identifiers_of_the_image_only_count_for_scripts_and_what_follows() -> None:
    with_script = (*STEPS, recipe(Action.POST_SCRIPTS, script="d"), recipe(Action.KERNEL_CHECK))
    assert common(content_ids(GROUND, with_script, "x"), content_ids(GROUND, with_script, "y")) == 4


def test_trees_are_kept_after_what_takes_long() -> None:
    actions = (
        Action.FSTAB, Action.PACKAGES, Action.PACKAGES, Action.HOSTNAME, Action.INITRAMFS, Action.POST_SCRIPTS,
        Action.POST_SCRIPTS, Action.FINAL_SCRIPTS,
    )  # fmt: skip
    assert worth_keeping([Step(action, "") for action in actions]) == {2, 4, 6, 7}
    assert worth_keeping([]) == frozenset()


@pytest.mark.parametrize(
    ("now", "change"),
    [
        ((GROUND, STEPS), None),
        (((Ingredient("base", "2"), GROUND[1]), STEPS), Change(None, ("base changed",))),
        (((GROUND[0], Ingredient("other", "1")), STEPS), Change(None, ("other is new", "tool is gone"))),
        (
            (GROUND, (STEPS[0], recipe(Action.PACKAGES, list="A", repository="B"), STEPS[2])),
            Change(1, ("list changed", "repository changed")),
        ),
        ((GROUND, (STEPS[0], STEPS[2])), Change(1, ("this step is new here",))),
        ((GROUND, (*STEPS, STEPS[0])), Change(4, ("this step is new here",))),
    ],
)
def test_what_changed_is_named(now: tuple[tuple[Ingredient, ...], tuple[Recipe, ...]], change: Change | None) -> None:
    assert first_change((GROUND, STEPS), now) == change


ACTIONS = [Action.FSTAB, Action.PACKAGES, Action.HOSTNAME, Action.INITRAMFS, Action.POST_SCRIPTS, Action.KERNEL_CHECK]
PLANNED = [Step(action, action.value) for action in ACTIONS]
IDENTIFIERS, OPAQUE = " (it writes this image's own identifiers)", " (it may depend on this image's own identifiers)"
NO_TREE = " (no tree is kept that has it behind it)"


@pytest.mark.parametrize(
    ("done", "change", "headline", "run"),
    [
        (0, "first", "this configuration has not been built with this cache yet", [""] * 6),
        (0, None, "no input has changed", [*[NO_TREE] * 4, OPAQUE, OPAQUE]),
        (4, None, "no input has changed", [IDENTIFIERS, None, None, None, OPAQUE, OPAQUE]),
        (
            2, Change(2, ("name changed",)),
            f"'{Action.HOSTNAME.value}' and what comes after it must be done again: name changed",
            [IDENTIFIERS, None, "", "", "", ""],
        ),
        (
            2, Change(3, ("x changed",)),
            f"'{Action.INITRAMFS.value}' and what comes after it must be done again: x changed",
            [IDENTIFIERS, None, NO_TREE, "", "", ""],
        ),
        (0, Change(None, ("base changed",)), "everything must be done again: base changed", [""] * 6),
        (
            4, Change(2, ("name changed",)), "name changed, and an earlier run had the same",
            [IDENTIFIERS, None, None, None, OPAQUE, OPAQUE],
        ),
        (
            2, Change(None, ("base changed",)), "base changed, and an earlier run had the same",
            [IDENTIFIERS, None, NO_TREE, NO_TREE, OPAQUE, OPAQUE],
        ),
    ],
)  # fmt: skip
def test_the_explanation_is_of_what_is_carried_out(
    done: int, change: Change | str | None, headline: str, run: list[str | None]
) -> None:
    first = change == "first"
    told = list(explain(PLANNED, done, None if isinstance(change, str) else change, first=first))
    titles = [step.title for step in PLANNED]
    shown = [
        f"as it was: {name}" if why is None else f"run: {name}{why}" for name, why in zip(titles, run, strict=True)
    ]
    assert told == [headline, *shown]
    assert to_carry_out(PLANNED, done) == {index for index, why in enumerate(run) if why is not None}
