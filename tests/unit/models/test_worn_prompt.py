"""A model that wears a soft prompt: what dev was scored with is what is served, and what PEFT itself answers."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_llama import LABELS, write_model

from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError, UsageError
from rung.core.hashing import hash_file
from rung.core.model import Message, Request
from rung.models import choices
from rung.models.transformers_local import TransformersModel
from rung.training.attach import attach, base_of, save_trained
from rung.training.merge import merged
from rung.training.settings import TrainSettings

KINDS = ("prompt", "p_tuning", "prefix")
COUNT = 6
ASKED = [
    Request((Message("user", text),), max_tokens=8)
    for text in (
        "rent",
        "the rent of the house and the deposit",
        "repairs of the heating 12 and more",
        "Who keeps the key?",
    )
]
CHOSEN = [replace(request, choices=LABELS) for request in ASKED]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("soft") / "base")


def opened(base: Path, **given: Any) -> TransformersModel:
    return TransformersModel(str(base), precision="fp32", device="cpu", **given)


def trained(base: Path, kind: str, folder: Path) -> tuple[Any, Any]:
    """A module with prompts that no real token has, saved in `folder`; with the parts it was made of."""
    import torch

    parts = opened(base).training_parts()
    settings = TrainSettings(adapter=kind, virtual_tokens=COUNT)  # type: ignore[arg-type]
    module = attach(parts, settings, text="Name the topic.")
    torch.manual_seed(3)
    with torch.no_grad():
        for weights in module.prompt_encoder["default"].embedding.parameters():
            weights.add_(torch.randn_like(weights) * 0.3)
    save_trained(module, parts, settings, folder)
    return module, parts


def slot_of(folder: Path, base: Path) -> AdapterSlot:
    return AdapterSlot(path=folder.name, sha256=hash_file(folder / "adapter_model.safetensors"), base=str(base))


def served(base: Path, folder: Path) -> TransformersModel:
    return TransformersModel.open(opened(base).ref, adapter=slot_of(folder, base), folder=folder.parent)


def texts(model: Any, requests: list[Request]) -> list[str]:
    return [completion.text for completion in model.generate(requests)]


def scores(model: Any, requests: list[Request]) -> Any:
    return np.array([completion.choice_scores for completion in model.generate(requests)])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_served_is_what_dev_was_scored_with(base: Path, tmp_path: Path, kind: str) -> None:
    module, parts = trained(base, kind, tmp_path / "adapter")
    with merged(module) as plain:
        scored = parts.evaluator(plain)
        written, chosen = texts(scored, ASKED), scores(scored, CHOSEN)
    model = served(base, tmp_path / "adapter")
    assert texts(model, ASKED) == written
    assert np.array_equal(scores(model, CHOSEN), chosen)
    assert texts(opened(base), ASKED) != written
    assert np.abs(scores(opened(base), CHOSEN) - chosen).max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_the_saved_folder_loads_in_peft_and_answers_the_same_there(base: Path, tmp_path: Path, kind: str) -> None:
    import torch
    from peft import PeftModel

    trained(base, kind, tmp_path / "adapter")
    plain = opened(base)
    with warnings.catch_warnings():
        # peft's generate takes off position ids that transformers itself has put there.
        warnings.filterwarnings("ignore", message=".*[Pp]osition.ids.*")
        warnings.filterwarnings("ignore", category=FutureWarning)
        module = PeftModel.from_pretrained(plain._loaded.module, tmp_path / "adapter")
        expected = []
        for request in ASKED:
            ids = torch.tensor([plain.encode(request)[0]])
            mask = torch.ones_like(ids)
            out = module.generate(input_ids=ids, attention_mask=mask, max_new_tokens=request.max_tokens)
            said = plain._loaded.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
            # A character that the length limit cuts is left out.
            expected.append(said.removesuffix("\ufffd").strip())
    assert texts(served(base, tmp_path / "adapter"), ASKED) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_answers_do_not_depend_on_the_batch(
    base: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(base, kind, tmp_path / "adapter")
    model = served(base, tmp_path / "adapter")
    assert texts(model, ASKED) == [texts(model, [request])[0] for request in ASKED]
    together = scores(model, CHOSEN)
    for shortest in (1, 10**6):
        # With the beginning that prompts share computed once, and without.
        monkeypatch.setattr(choices, "MIN_SHARED", shortest)
        np.testing.assert_allclose(scores(model, CHOSEN), together, atol=1e-4)
        np.testing.assert_allclose(np.concatenate([scores(model, [one]) for one in CHOSEN]), together, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_answers_wear_the_prompt_too(base: Path, tmp_path: Path, kind: str) -> None:
    """At a temperature near zero, what is drawn is what is greedy."""
    trained(base, kind, tmp_path / "adapter")
    model = served(base, tmp_path / "adapter")
    assert texts(model, [replace(one, temperature=1e-4, seed=5) for one in ASKED]) == texts(model, ASKED)


@pytest.mark.parametrize("kind", KINDS)
def test_virtual_tokens_count_towards_the_prompt_and_the_context(base: Path, tmp_path: Path, kind: str) -> None:
    trained(base, kind, tmp_path / "adapter")
    model, plain = served(base, tmp_path / "adapter"), opened(base)
    assert [c.tokens_in - COUNT for c in model.generate(CHOSEN)] == [c.tokens_in for c in plain.generate(CHOSEN)]
    fits = replace(ASKED[0], max_tokens=256 - len(plain.encode(ASKED[0])[0]))
    failure = model.generate([fits])[0].failure
    assert failure is not None
    assert failure.kind == "too_long"


def test_a_prompt_trained_on_another_base_is_refused(base: Path, tmp_path: Path) -> None:
    trained(base, "prompt", tmp_path / "adapter")
    slot = slot_of(tmp_path / "adapter", base).model_copy(update={"base": "another"})
    with pytest.raises(BackendError) as caught:
        TransformersModel.open(opened(base).ref, adapter=slot, folder=tmp_path)
    assert caught.value.code == "E3004"


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_of_another_width_is_refused(base: Path, tmp_path: Path, kind: str) -> None:
    trained(base, kind, tmp_path / "adapter")
    wider = write_model(tmp_path / "wider", hidden_size=96)
    with pytest.raises(BackendError) as caught:
        opened(wider, adapter=tmp_path / "adapter").generate(ASKED[:1])
    assert caught.value.code == "E3046"


def test_a_damaged_count_of_virtual_tokens_is_refused(base: Path, tmp_path: Path) -> None:
    trained(base, "prefix", tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"num_virtual_tokens": COUNT + 1}), "utf-8")
    with pytest.raises(BackendError) as caught:
        opened(base, adapter=tmp_path / "adapter").generate(ASKED[:1])
    assert caught.value.code == "E3046"


def test_it_cannot_be_saved_as_weights(base: Path, tmp_path: Path) -> None:
    module, _ = trained(base, "prompt", tmp_path / "adapter")
    assert base_of(module).soft_prompt.ids
    with pytest.raises(UsageError) as caught:
        served(base, tmp_path / "adapter").save(tmp_path / "whole")
    assert caught.value.code == "E6204"
    assert not (tmp_path / "whole").exists()


def test_released_weights_come_back_with_their_prompt(base: Path, tmp_path: Path) -> None:
    trained(base, "prefix", tmp_path / "adapter")
    model = served(base, tmp_path / "adapter")
    before = texts(model, ASKED)
    model.release()
    assert texts(model, ASKED) == before
