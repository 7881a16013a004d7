"""Training on a 4-bit base, where bitsandbytes is installed: it learns, leaves the base as it is, and ends in the same bits."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from tiny_model import easy_rows, tiny_parts

from rung.core.errors import UsageError
from rung.models.packed import pack_linears
from rung.training.attach import attach, base_of, quiet_peft, save_trained
from rung.training.forward import Forward
from rung.training.loop import Loop
from rung.training.merge import merged
from rung.training.objective import TargetLoss
from rung.training.settings import TrainSettings

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"
)
DEV = easy_rows(6, seed=9)
LAYERS = 14
"""Linear layers of the tiny model, its output layer left out."""


def loop_of(**given):
    settings = TrainSettings(adapter="qlora", **{"epochs": 6, "learning_rate": 0.02, "rank": 4, **given})
    module = attach(tiny_parts(tie_word_embeddings=False), settings)
    objective = TargetLoss(Forward(base_of(module)), easy_rows(40), DEV, settings)
    return Loop(module, objective, settings, score_dev=lambda _: -objective.dev_loss())


def small_layers(module):
    return {name: part for name, part in module.named_parameters() if part.dtype == torch.uint8}


def test_an_adapter_learns_on_a_base_of_four_bits_that_stays_as_it_is():
    loop = loop_of()
    small = small_layers(loop.module)
    assert len(small) == LAYERS
    assert not any("lm_head" in name for name in small)
    before, frozen = loop.objective.dev_loss(), {name: part.clone() for name, part in small.items()}
    loop.run()
    assert loop.objective.dev_loss() < 0.95 * before
    assert all(torch.equal(part, frozen[name]) for name, part in small_layers(loop.module).items())


def test_two_trainings_end_in_the_same_bits():
    whole = loop_of(dropout=0.1)
    whole.run()
    again = loop_of(dropout=0.1)
    again.run()
    assert all(torch.equal(whole.masters.weights[name], weight) for name, weight in again.masters.weights.items())


def test_dev_is_answered_with_the_adapters_in_place():
    settings = TrainSettings(adapter="qlora", rank=4)
    module = attach(tiny_parts(dtype="bfloat16", tie_word_embeddings=False), settings)
    for name, weight in module.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        module.eval()
        before = module(input_ids=ids).logits
        with merged(module) as plain:
            # Answering on a CPU lays plain layers out anew; it is all put back.
            during = pack_linears(plain)(input_ids=ids).logits
        after = module(input_ids=ids).logits
    torch.testing.assert_close(during, before, rtol=0.05, atol=0.05)
    assert torch.equal(before, after)


def test_the_saved_adapter_goes_on_the_whole_base(tmp_path):
    from peft import PeftModel

    parts = tiny_parts()
    settings = TrainSettings(adapter="qlora", rank=4)
    save_trained(attach(parts, settings), parts, settings, tmp_path)
    with quiet_peft():
        whole = PeftModel.from_pretrained(tiny_parts().module, tmp_path)
    assert len(small_layers(whole)) == 0
    again = attach(tiny_parts(), settings, start=str(tmp_path))
    assert len(small_layers(again)) == LAYERS


def test_a_whole_set_of_weights_is_no_start_for_it(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError) as caught:
        attach(tiny_parts(), TrainSettings(adapter="qlora"), start=str(tmp_path))
    assert caught.value.code == "E2463"
