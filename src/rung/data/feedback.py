"""Preference pairs and thumbs among examples: what cannot teach anything is taken out and said, what is wrong kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rung.core.errors import DataError
from rung.core.task import Example
from rung.data.findings import Finding
from rung.data.leakage.copies import without_copies
from rung.text.normalise import normalise_label


@dataclass(frozen=True)
class Feedback:
    """Examples whose pairs have been looked at, and what there is to say of them."""

    examples: tuple[Example, ...]
    findings: tuple[Finding, ...]


def check_feedback(examples: Sequence[Example]) -> Feedback:
    """Examples without pairs of equal answers (E2830): one that loses its pairs stays an example."""
    kept = tuple(_without_equal(example) for example in examples)
    equal = tuple(old.id for old, new in zip(examples, kept, strict=True) if len(new.rejected) < len(old.rejected))
    left = sum(bool(example.rejected) for example in kept)
    return Feedback(kept, (Finding("warning", "E2830", {"n": len(equal), "left": left}, equal),) if equal else ())


def demand_feedback(
    examples: Sequence[Example], findings: Sequence[Finding], *, pairs: str | None = None, thumbs: str | None = None
) -> tuple[Finding, ...]:
    """What there is to say of all pairs and thumbs of a task. `pairs`, `thumbs`: the columns named for them.

    Raises DataError E2831 where pairs are asked for, or all that there were have been taken out; E2834 where thumbs are
    asked for and none is up, or all are down.
    """
    equal = sum(finding.values["n"] for finding in findings if finding.code == "E2830")
    if (pairs or equal) and not any(example.rejected for example in examples):
        raise DataError("E2831", column=pairs or "rejected", n=len(examples), equal=equal)
    up, down = (sum(example.liked is thumb for example in examples) for thumb in (True, False))
    if (thumbs and not up) or (down and down == len(examples)):
        raise DataError("E2834", column=thumbs or "liked", down=down)
    return (Finding("warning", "E2833", {"n": up + down}),) if bool(up) != bool(down) else ()


def _without_equal(example: Example) -> Example:
    """Pairs whose answers differ, once case, width and white space are evened out."""
    if not example.rejected:
        return example
    right = {normalise_label(reference) for reference in example.references}
    rejected = tuple(text for text in example.rejected if normalise_label(text) not in right)
    return example if len(rejected) == len(example.rejected) else replace(example, rejected=rejected)


@dataclass(frozen=True)
class Disliked:
    """Examples with a thumb down: never asked in dev or test, where their reference would count as right."""

    kept: tuple[Example, ...] = ()
    left_out: tuple[str, ...] = ()
    """Ids of those about a question of dev or test, or of its group."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        if not self.kept and not self.left_out:
            return ()
        values = {"n": len(self.kept) + len(self.left_out), "left": len(self.left_out)}
        return (Finding("info", "E2835", values, self.left_out),)


def not_disliked(examples: Sequence[Example]) -> tuple[Example, ...]:
    """Examples whose reference is a right answer."""
    return tuple(example for example in examples if example.liked is not False)


def for_training(disliked: Sequence[Example], held: Sequence[Example], *, others: Sequence[Example] = ()) -> Disliked:
    """What may be trained on of disliked examples: not what dev and test (`held`) ask, and none of their groups.

    `others`: disliked examples that lie in the user's own dev or test file; they are left out.
    """
    groups = {example.group for example in held if example.group}
    apart = [example for example in disliked if not example.group or example.group not in groups]
    kept = tuple(without_copies(apart, held).examples) if apart else ()
    staying = {example.id for example in kept}
    left = (*(e.id for e in disliked if e.id not in staying), *(e.id for e in others))
    return Disliked(kept, left)
