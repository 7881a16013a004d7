"""Diagnosis and stability on the embedded model: a few questions of the tenants' desk, end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_desk import small_project

import rung

TASK = """
name: small
instruction: You answer tenants' questions for the advice desk of Harrow Vale.
inputs: [question]
output: {kind: text, column: answer, max_tokens: 8, abstain: Not in the guidance.}
data: {examples: questions.csv, id: id, group: group, document: document, dev_share: 0.4}
documents: documents
metrics: [token_f1, exact_match]
methods: [prompt]
"""


@pytest.mark.slow
def test_a_run_is_diagnosed_and_its_winner_asked_again(tmp_path: Path) -> None:
    run = rung.run(small_project(tmp_path, TASK, documents=6))
    found = rung.diagnose(run.path, questions=12)
    assert {arm.name: arm.source for arm in found.arms} == {
        "plain": "asked",
        "control": "copied",
        "gold": "asked",
        "format": "asked",
        "both": "asked",
    }
    assert all(effect.n >= 10 for effect in found.effects)
    candidate = run.candidates()[0]
    steady = rung.stability(run.path, candidate=candidate, questions=4)
    assert steady.deterministic
    repeat = next(kind for kind in steady.kinds if kind.kind == "repeat")
    # Rounding differs between batches, so even this model need not repeat itself word for word.
    assert 1 <= repeat.agree <= repeat.pairs == 4
    page = (run.path / "report.html").read_text("utf-8")
    assert 'id="diagnosis"' in page
    assert 'id="stability"' in page
