"""Logits at targets: what each row would give alone, whether packed behind a shared prefix or padded."""

from __future__ import annotations

import pytest
import torch
from tiny_model import easy_rows, tiny_llama

from rung.training.batches import TokenRow
from rung.training.forward import Forward, shared_length


def together(model, rows, *, packed=True):
    forward = Forward(model, packed=packed)
    with forward.attending(rows):
        return forward(rows)


def alone(model, row):
    ids = torch.tensor([row.prompt + row.target])
    start = len(row.prompt) - 1
    return model(input_ids=ids).logits[0, start : start + len(row.target)].float()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 4}], ids=["grouped", "plain heads"])
def test_every_row_has_the_logits_it_has_alone(packed, changes):
    model, rows = tiny_llama(**changes).eval(), easy_rows(7)
    found = together(model, rows, packed=packed)
    assert torch.allclose(found, torch.cat([alone(model, row) for row in rows]), atol=1e-5)


def test_gradients_are_those_of_separate_rows():
    model, rows = tiny_llama(), easy_rows(5)
    together(model, rows).square().sum().backward()
    packed = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    for row in rows:
        alone(model, row).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(packed[name], parameter.grad, atol=1e-3, rtol=1e-4), name


def test_rows_without_a_common_beginning_and_a_single_row():
    model = tiny_llama().eval()
    rows = [TokenRow([5, 6], [7, 0]), TokenRow([9], [8, 8, 0])]
    for part in (rows, rows[:1], rows[1:]):
        found = together(model, part)
        assert torch.allclose(found, torch.cat([alone(model, row) for row in part]), atol=1e-5)


def test_a_shared_prefix_leaves_every_prompt_its_last_token_and_counts_once():
    rows = [TokenRow([1, 2, 3], [4]), TokenRow([1, 2, 3], [5]), TokenRow([1, 2, 3, 9], [5])]
    assert shared_length(rows) == 2
    assert Forward(tiny_llama(), packed=True).tokens(rows) == 8  # 2 shared + 1 + 1 + 2, rounded up


def test_the_attention_of_the_model_is_what_it_was_afterwards():
    model, rows = tiny_llama().eval(), easy_rows(3)
    before = model.config._attn_implementation
    together(model, rows)
    assert model.config._attn_implementation == before
    assert model(input_ids=torch.tensor([[1, 2, 3]])).logits.shape == (1, 3, 64)
