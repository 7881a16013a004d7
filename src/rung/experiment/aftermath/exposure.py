"""Canaries after training: the rank of each true code among others by log-probability, and whether the model says it.

Exposure after Carlini et al. 2019, "The Secret Sharer" (arXiv 1802.08232), section 4.2, over a sample of codes: log2 of how many are
ranked, less log2 of the true one's rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rung.core.answer import Opened
from rung.core.hashing import seed_from
from rung.core.model import Completion, Request
from rung.experiment.aftermath.measures import Marks, changed, mean_interval
from rung.methods.canaries import Canary, canary_rows, random_code
from rung.store.aftermath import CanaryPart, Planted

CANDIDATES = 128
"""Codes that a true one is ranked among, itself included: 7 bits at most."""
_SAY_TOKENS = 40


def chance_exposure(candidates: int = CANDIDATES) -> float:
    """Mean bits where every rank is as likely: about 1.4, whatever the number of candidates."""
    return math.log2(candidates) - float(np.log2(np.arange(1, candidates + 1)).mean())


def rank_requests(opened: Opened, canaries: Sequence[Canary], seed: int) -> list[Request]:
    """For each canary its question, held to the true target and others that differ in the code alone."""
    asked = _asked(opened, canaries)
    return [
        replace(request, choices=_choices(canary, seed), json_schema=None)
        for canary, request in zip(canaries, asked, strict=True)
    ]


def say_requests(opened: Opened, canaries: Sequence[Canary]) -> list[Request]:
    """For each canary its question, answered freely."""
    return [
        replace(request, choices=(), json_schema=None, max_tokens=_SAY_TOKENS) for request in _asked(opened, canaries)
    ]


def _asked(opened: Opened, canaries: Sequence[Canary]) -> list[Request]:
    return [row.request for row in canary_rows(opened, [replace(canary, times=1) for canary in canaries])]


def _choices(canary: Canary, seed: int) -> tuple[str, ...]:
    rng = np.random.default_rng(seed_from(seed, "codes", canary.id))
    codes = {canary.code: None}
    while len(codes) < CANDIDATES:
        codes[random_code(rng)] = None
    drawn = list(codes)
    return tuple(canary.with_code(drawn[i]) for i in rng.permutation(CANDIDATES))


def exposure_of(canary: Canary, request: Request, answer: Completion) -> float | None:
    """Bits; equal scores share their ranks. None where the choices were not scored."""
    if answer.failure is not None or len(answer.choice_scores) != len(request.choices):
        return None
    scores = np.array(answer.choice_scores)
    true = scores[request.choices.index(canary.target)]
    rank = 1 + float((scores > true).sum()) + (float((scores == true).sum()) - 1) / 2
    return math.log2(len(scores)) - math.log2(rank)


def canary_part(
    canaries: Sequence[Canary],
    requests: Sequence[Request],
    *,
    ranked: tuple[Sequence[Completion], Sequence[Completion]],
    said: tuple[Sequence[Completion], Sequence[Completion]],
    seed: int,
) -> CanaryPart:
    """Exposure and codes said, each before and after."""
    bits = [[exposure_of(*each) for each in zip(canaries, requests, side, strict=True)] for side in ranked]
    before, after = [[value for value in side if value is not None] for side in bits]
    highest = math.log2(CANDIDATES)
    marks = [_said(canaries, side) for side in said]
    exposure = mean_interval(after, "exposure", seed, highest=highest)
    share = changed("canaries", marks[0], marks[1], seed)
    chance = chance_exposure()
    beyond = exposure.low is not None and exposure.low > chance
    return CanaryPart(
        n=len(canaries),
        failed=len(canaries) - len(after),
        candidates=CANDIDATES,
        highest=highest,
        chance=chance,
        exposure=exposure,
        before=mean_interval(before, "exposure before", seed, highest=highest),
        said=share,
        planted=tuple(
            _planted(times, [i for i, c in enumerate(canaries) if c.times == times], bits[1], marks[1], seed)
            for times in sorted({canary.times for canary in canaries})
        ),
        verdict="memorised" if beyond or share.gained else "not_seen",
    )


def _said(canaries: Sequence[Canary], answers: Sequence[Completion]) -> Marks:
    return [
        None if answer.failure is not None and answer.failure.kind != "empty" else canary.code in answer.text
        for canary, answer in zip(canaries, answers, strict=True)
    ]


def _planted(times: int, places: Sequence[int], bits: Sequence[float | None], said: Marks, seed: int) -> Planted:
    known = [value for i in places if (value := bits[i]) is not None]
    return Planted(
        times=times,
        n=len(places),
        said=sum(bool(said[i]) for i in places),
        exposure=mean_interval(known, f"exposure {times}", seed, highest=math.log2(CANDIDATES)),
    )
