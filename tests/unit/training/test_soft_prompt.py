"""Soft prompts: PEFT's own losses and gradients, real tokens to begin with, and training that resumes to the same bits."""

from __future__ import annotations

import pytest
import torch
from tiny_model import VOCABULARY, easy_rows, tiny_parts

from rung.core.errors import UsageError
from rung.models.soft_prompt import wear
from rung.training.attach import attach, base_of, spare_activations
from rung.training.batches import TokenRow
from rung.training.forward import Forward
from rung.training.loop import Loop
from rung.training.objective import TargetLoss
from rung.training.settings import TrainSettings

KINDS = ("prompt", "p_tuning", "prefix")
COUNT = 6
LARGE = {"initializer_range": 0.3}


def worn_module(kind, *, seed=0, text="", **given):
    # Weights large enough for what stands before a row to matter to it.
    parts = tiny_parts(**LARGE)
    parts.extra |= {"wear": wear, "tokenizer": lambda text, **_: {"input_ids": [11, 12, 13, 14]}}
    return attach(parts, TrainSettings(adapter=kind, virtual_tokens=COUNT, seed=seed, **given), text=text)


def trained(module):
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def own_loss(module, rows, *, packed):
    forward = Forward(base_of(module), packed=packed)
    wanted = torch.tensor([token for row in rows for token in row.target])
    with forward.attending(rows):
        loss = torch.nn.functional.cross_entropy(forward(rows), wanted)
        loss.backward()
    return loss.item(), gradients(module)


def peft_loss(module, rows):
    """By PEFT's own forward on rows padded on the right."""
    shape = (len(rows), max(row.length for row in rows))
    ids, mask, labels = torch.zeros(shape).long(), torch.zeros(shape).long(), torch.full(shape, -100)
    for i, row in enumerate(rows):
        ids[i, : row.length] = torch.tensor(row.prompt + row.target)
        mask[i, : row.length] = 1
        labels[i, len(row.prompt) : row.length] = torch.tensor(row.target)
    loss = module(input_ids=ids, attention_mask=mask, labels=labels).loss
    loss.backward()
    return loss.item(), gradients(module)


def gradients(module):
    found = {name: p.grad.clone() for name, p in trained(module).items()}
    module.zero_grad()
    return found


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_are_those_of_peft(kind, packed):
    module = worn_module(kind)
    for rows in (easy_rows(7), easy_rows(1), [TokenRow([5], [6, 0]), TokenRow([7, 8, 9], [0])]):
        loss, found = own_loss(module, rows, packed=packed)
        expected, wanted = peft_loss(module, rows)
        assert loss == pytest.approx(expected, abs=1e-4)
        assert max(float(grad.abs().max()) for grad in wanted.values()) > 1e-3
        for name, grad in wanted.items():
            assert torch.allclose(found[name], grad, atol=1e-4), name


def test_a_soft_prompt_changes_the_loss_only_where_it_is_worn():
    rows = easy_rows(4)
    base = tiny_parts(**LARGE).module
    without = Forward(base)
    with without.attending(rows):
        plain = torch.nn.functional.cross_entropy(without(rows), torch.tensor([t for row in rows for t in row.target]))
    for kind in KINDS:
        module = worn_module(kind)
        assert own_loss(module, rows, packed=True)[0] != pytest.approx(plain.item(), abs=1e-4)
        with module.disable_adapter():
            assert torch.equal(module(torch.tensor([[1, 2, 3]])).logits, base(torch.tensor([[1, 2, 3]])).logits)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_prompt_is_trained(kind):
    names = list(trained(worn_module(kind)))
    assert names
    assert all(name.startswith("prompt_encoder.") for name in names)


def test_a_prompt_begins_as_the_text_over_and_over():
    module = worn_module("prompt", text="Name the topic.")
    words = tiny_parts(**LARGE).module.get_input_embeddings().weight
    assert torch.equal(module.prompt_encoder["default"].embedding.weight, words[[11, 12, 13, 14, 11, 12]])


def test_a_prefix_begins_as_what_the_model_computes_for_the_text():
    base, row = tiny_parts(**LARGE).module, TokenRow([21, 22, 23], [24, 0])
    said = Forward(base)
    whole = TokenRow([11, 12, 13, 14, 11, 12, *row.prompt], row.target)
    prefixed = Forward(base_of(worn_module("prefix", text="Name the topic.")))
    with said.attending([whole]):
        expected = said([whole])
    with prefixed.attending([row]):
        assert torch.allclose(prefixed([row]), expected, atol=1e-5)


def test_without_a_text_it_begins_at_tokens_that_the_seed_draws():
    def start(seed):
        return worn_module("prompt", seed=seed).prompt_encoder["default"].embedding.weight

    words = tiny_parts(**LARGE).module.get_input_embeddings().weight
    assert torch.equal(start(0), start(0))
    assert not torch.equal(start(0), start(1))
    assert all(any(torch.equal(row, word) for word in words) for row in start(0))


def loop_of(kind, **given):
    settings = TrainSettings(
        **{"epochs": 4, "learning_rate": 0.1, "save_steps": 3, "adapter": kind, "virtual_tokens": COUNT} | given
    )
    module = worn_module(kind)
    objective = TargetLoss(Forward(base_of(module)), easy_rows(40), easy_rows(6, seed=9), settings)
    return Loop(module, objective, settings, score_dev=lambda _: -objective.dev_loss())


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_and_resumes_to_the_same_bits(kind, tmp_path):
    whole = loop_of(kind)
    before = whole.objective.dev_loss()
    whole.run()
    assert whole.objective.dev_loss() < 0.9 * before
    for kill_at in (4, 11):
        folder = tmp_path / str(kill_at)

        def die(progress, planned, last=kill_at):
            if progress.step == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            loop_of(kind).run(folder, report=die)
        second = loop_of(kind)
        second.run(folder)
        expected = trained(whole.module)
        assert all(torch.equal(p, expected[name]) for name, p in trained(second.module).items())


def test_virtual_tokens_count_as_tokens_that_go_through_the_model():
    rows = [TokenRow([1, 2, 3], [4]), TokenRow([1, 2, 3], [5])]
    assert Forward(tiny_parts(**LARGE).module).tokens(rows) == 8  # 2 shared + 1 + 1, rounded up
    assert Forward(base_of(worn_module("prompt"))).tokens(rows) == 16
    assert Forward(base_of(worn_module("prefix"))).tokens(rows) == 8


def test_sparing_activations_leaves_a_prompts_gradients_as_they_are_and_is_refused_for_a_prefix():
    rows = easy_rows(5)
    expected = own_loss(worn_module("prompt"), rows, packed=True)
    spared = worn_module("prompt", gradient_checkpointing=True)
    spare_activations(spared)
    loss, found = own_loss(spared.train(), rows, packed=True)
    assert loss == pytest.approx(expected[0], abs=1e-5)
    assert all(torch.allclose(found[name], grad, atol=1e-5) for name, grad in expected[1].items())
    with pytest.raises(UsageError) as caught:
        TrainSettings(adapter="prefix", gradient_checkpointing=True)
    assert caught.value.code == "E2850"


def test_the_vocabulary_and_its_head_stay_as_they_are():
    base = base_of(worn_module("prompt"))
    assert base.get_output_embeddings().weight.shape[0] == VOCABULARY
    assert base.get_output_embeddings().weight is base.get_input_embeddings().weight
    assert base(input_ids=torch.tensor([[VOCABULARY, VOCABULARY + 5, 3]])).logits.shape == (1, 3, VOCABULARY)
