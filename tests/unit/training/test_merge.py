"""Scoring with the adapter merged: the same weights as serving merges, and nothing left changed afterwards."""

from __future__ import annotations

import pytest
from tiny_model import tiny_parts

from rung.models.packed import pack_linears
from rung.training.attach import attach
from rung.training.merge import merged
from rung.training.settings import TrainSettings


@pytest.fixture(params=["lora", "dora"])
def adapted(request):
    import torch

    module = attach(tiny_parts(dtype="bfloat16"), TrainSettings(rank=4, adapter=request.param))
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    return module


def _state(module):
    return {name: (part, [p.data_ptr() for p in part.parameters()]) for name, part in module.named_modules()}


def test_the_merged_module_holds_the_weights_that_serving_merges(adapted):
    import copy

    import torch

    served = dict(copy.deepcopy(adapted).merge_and_unload().named_parameters())
    with merged(adapted) as plain:
        found = dict(plain.named_parameters())
        assert found.keys() == served.keys()
        assert all(torch.equal(found[name], served[name]) for name in served)


def test_everything_is_put_back_even_after_the_layers_were_replaced(adapted):
    import torch

    ids = torch.arange(12)[None]
    adapted.train()
    before, answer = _state(adapted), adapted(input_ids=ids).logits
    with merged(adapted) as plain:
        pack_linears(plain)
    after = _state(adapted)
    assert {name: (id(part), places) for name, (part, places) in before.items()} == {
        name: (id(part), places) for name, (part, places) in after.items()
    }
    assert adapted.training
    assert torch.equal(adapted(input_ids=ids).logits, answer)


def test_it_is_put_back_when_scoring_fails(adapted):
    before = {name: id(part) for name, part in adapted.named_modules()}

    def score():
        with merged(adapted) as plain:
            pack_linears(plain)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        score()
    assert before == {name: id(part) for name, part in adapted.named_modules()}
