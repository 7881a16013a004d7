"""Semantic copies: every pair above the threshold, however the rows are cut into blocks."""

from __future__ import annotations

import numpy as np
import pytest

from rung.data.leakage import semantic
from rung.data.leakage.semantic import find_close


@pytest.fixture
def vectors() -> np.ndarray:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(40, 16))
    return (centres[rng.integers(0, 40, 300)] + 0.35 * rng.normal(size=(300, 16))).astype(np.float32)


@pytest.mark.parametrize("block", [7, 1000])
def test_all_pairs_above_the_threshold(vectors: np.ndarray, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semantic, "_BLOCK", block)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = units @ units.T
    first, second = np.nonzero(np.triu(cosine >= 0.9, 1))
    found = find_close(vectors, 0.9)
    assert len(found) > 20
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == set(
        zip(first.tolist(), second.tolist(), strict=True)
    )
    assert found.score == pytest.approx(cosine[found.first, found.second], abs=1e-5)


def test_only_other_homes_and_a_bound_on_partners() -> None:
    same = np.ones((100, 4), np.float32)
    homes = np.array([1] * 98 + [2, 2], np.uint64)
    found = find_close(same, 0.99, homes=homes)
    assert {*found.second.tolist()} == {98, 99}
    assert len(find_close(same, 0.99)) <= 100 * semantic.MOST
    assert len(find_close(np.zeros((5, 4), np.float32), 0.5)) == len(find_close(np.empty((0, 4), np.float32), 0.5)) == 0
