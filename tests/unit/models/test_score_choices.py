"""Scores of the label tree against the plain way, one label at a time, on a tiny network with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from rung.models.choices import build_tree, score_choices

END = 0
VOCABULARY = 60
LABELS = [(7, END), (7, 8, END), (7, 8, 9, END), (12, 13, END), (END,), (30, 31, 32, 33, END)]
PREFIX = [3 + i % 50 for i in range(24)]


@pytest.fixture(scope="module")
def network() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = LlamaForCausalLM(config)
        # Random weights of the usual size say nearly the same about every token.
        for weights in module.parameters():
            weights.data *= 8 if weights.ndim > 1 else 1
    return module.eval()


def one_by_one(network: Any, prompts: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> Any:
    import torch

    found = np.zeros((len(prompts), len(labels)))
    with torch.inference_mode():
        for i, prompt in enumerate(prompts):
            for j, label in enumerate(labels):
                logits = network(input_ids=torch.tensor([[*prompt, *label]])).logits[0].double().log_softmax(-1)
                places = range(len(prompt) - 1, len(prompt) - 1 + len(label))
                found[i, j] = sum(float(logits[place, token]) for place, token in zip(places, label, strict=True))
    return found


@pytest.mark.parametrize(
    "prompts",
    [
        [[5, 6, 7, 8]],
        [[5, 6, 7, 8], [9], [5, 6], [11, 12, 13, 14, 15, 16, 17, 18, 19]],
        [[*PREFIX, 1], [*PREFIX, 2, 3, 4, 5], [*PREFIX, 2]],
        [PREFIX, [*PREFIX, 4, 5]],
        [PREFIX, PREFIX],
    ],
    ids=["one", "of all lengths", "with a shared prefix", "one is the prefix", "equal"],
)
def test_the_tree_scores_every_label_as_if_it_were_alone(network: Any, prompts: list[list[int]]) -> None:
    found = score_choices(network, prompts, build_tree(LABELS))
    expected = one_by_one(network, prompts, LABELS)
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_many_labels_cross_the_blocks_in_which_the_vocabulary_is_projected(network: Any) -> None:
    labels = [(a, b, END) for a in range(1, 24) for b in range(1, 16)]
    prompts = [[*PREFIX, 1], [*PREFIX, 2, 3], [*PREFIX, 9]]
    found = score_choices(network, prompts, build_tree(labels))
    some = [0, 1, 17, 200, 344]
    np.testing.assert_allclose(found[:, some], one_by_one(network, prompts, [labels[j] for j in some]), atol=1e-3)


def test_scores_are_log_probabilities_of_what_excludes_each_other(network: Any) -> None:
    """All labels of two tokens, each with its end, cannot together be more probable than 1."""
    labels = [(a, END) for a in range(VOCABULARY)]
    found = score_choices(network, [[5, 6], [*PREFIX, 1]], build_tree(labels))
    assert (np.exp(found).sum(axis=1) <= 1 + 1e-6).all()
    assert (found < 0).all()
