"""The memory plan: each part by hand, what makes it larger and smaller, and what a machine has room for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_model import easy_rows

from rung.core.errors import WriteError
from rung.core.model import Sizes
from rung.models.sizes import sizes_of
from rung.training.batches import TokenRow
from rung.training.memory import SMALLEST_PART, MemoryPlan, lower_to_fit, plan_memory
from rung.training.room import free_memory, look_around
from rung.training.row_tokens import RowTokens, Scoring
from rung.training.settings import TrainSettings

SMALL = Sizes(
    parameters=134_479_872, layers=30, hidden=576, intermediate=1536, heads=9, kv_heads=3, head_width=64, vocabulary=49152
)  # fmt: skip
ROWS = RowTokens(mean=80, longest=90, target=8)
DEV = Scoring(rows=32, prompt=72, written=16)
LORA_R8 = 30 * 8 * (2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536))
MIB = 1 << 20


def plan(rows: RowTokens = ROWS, dev: Scoring | None = DEV, **settings: object) -> MemoryPlan:
    return plan_memory(SMALL, TrainSettings(**{"rank": 8, "batch_size": 64, **settings}), rows, dev)  # type: ignore[arg-type]


def test_trained_weights_and_what_the_optimiser_keeps_are_counted_one_by_one() -> None:
    found = plan()
    assert found.weights == 2 * 134_479_872
    assert (found.trained, found.masters, found.best) == (2 * LORA_R8, 4 * LORA_R8, 4 * LORA_R8)
    assert found.optimiser == 8 * LORA_R8
    assert found.checkpoint == 16 * LORA_R8
    assert found.disk == 3 * found.checkpoint + 2 * 2 * LORA_R8
    assert plan(rank=64).masters == 8 * found.masters
    assert plan(targets="q_proj, v_proj").masters == 4 * 30 * 8 * (576 + 576 + 576 + 192)
    assert plan(adapter="dora").masters == found.masters + 4 * 30 * (2 * 576 + 2 * 192 + 2 * 1536 + 576)
    full = plan(adapter="full")
    assert (full.trained, full.masters) == (0, pytest.approx(4 * SMALL.parameters, rel=1e-5))


@pytest.mark.parametrize(("optimiser", "copies"), [("adamw", 2), ("rmsprop", 1), ("adagrad", 1), ("sgd", 1)])
def test_optimisers_differ_in_what_they_remember(optimiser: str, copies: int) -> None:
    assert plan(optimiser=optimiser).optimiser == 4 * copies * LORA_R8
    assert plan(optimiser="adafactor", adapter="full").optimiser < 0.01 * plan(adapter="full").optimiser
    assert plan(optimiser="sgd", beta1=0.0).optimiser == 0


def test_activations_of_a_plain_part_are_what_autograd_was_seen_to_keep() -> None:
    # 480 tokens in six rows of 80, counted with saved-tensor hooks: 424 MiB, of which 9 are the logits' own.
    rows = RowTokens(mean=80, longest=80, target=8)
    found = plan_memory(SMALL, TrainSettings(batch_size=6, micro_tokens=512), rows)
    assert found.activations / MIB == pytest.approx(415, rel=0.05)
    full = plan_memory(SMALL, TrainSettings(batch_size=6, adapter="full"), rows)
    assert full.activations / MIB == pytest.approx(445, rel=0.05)
    assert found.logits == 48 * 49152 * 14
    # 520 tokens, 40 of them shared by all rows: 817 MiB with DoRA.
    shared = RowTokens(mean=120, longest=120, target=8, shared=40)
    dora = plan_memory(SMALL, TrainSettings(batch_size=6, adapter="dora", micro_tokens=1024), shared)
    assert dora.activations / MIB == pytest.approx(808, rel=0.08)


def test_more_at_once_takes_more_and_checkpointing_less() -> None:
    peaks = [plan(micro_tokens=tokens).peak for tokens in (128, 512, 1024, 2048)]
    assert peaks == sorted(peaks)
    assert plan(micro_tokens=2048, gradient_checkpointing=True).activations < plan(micro_tokens=1024).activations
    # A batch that is smaller than a part is all that there is.
    assert plan(batch_size=2, micro_tokens=512).activations == plan(batch_size=2, micro_tokens=4096).activations
    # A row is never cut.
    assert plan(rows=RowTokens(80, 1800, 8), micro_tokens=64).activations > plan(micro_tokens=1024).activations


def test_a_float32_base_is_its_own_master() -> None:
    wide = replace(SMALL, weight_bytes=4)
    full = plan_memory(wide, TrainSettings(adapter="full"), ROWS, DEV)
    assert (full.masters, full.weights) == (0, 4 * SMALL.parameters)


def test_a_4_bit_base_is_small_once_it_has_been_read_whole() -> None:
    linear = 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536)
    small = plan(adapter="qlora")
    assert plan().weights - small.weights == pytest.approx(linear * (2 - 0.516), rel=0.001)
    large = replace(SMALL, parameters=10**9 + 30 * linear, layers=900)
    read = plan_memory(large, TrainSettings(adapter="qlora", batch_size=1, micro_tokens=32), ROWS)
    assert read.peak > 2 * large.parameters


def test_parts_are_lowered_until_they_fit_and_no_further() -> None:
    settings = TrainSettings(rank=8, batch_size=64, micro_tokens=2048)
    room = plan(micro_tokens=512).peak
    found = lower_to_fit(SMALL, settings, ROWS, DEV, room=room)
    assert (found.micro_tokens, found.peak) == (512, room)
    assert lower_to_fit(SMALL, settings, ROWS, DEV, room=1 << 50).micro_tokens == 2048
    none = lower_to_fit(SMALL, settings, ROWS, DEV, room=1)
    assert SMALLEST_PART <= none.micro_tokens < 2 * SMALLEST_PART


def test_lengths_of_rows_are_measured_with_what_all_of_them_begin_with() -> None:
    rows = [TokenRow([1, 2, 3, n, 9], [n, 0]) for n in (4, 5, 6)]
    assert RowTokens.of(rows) == RowTokens(mean=7, longest=7, target=2, shared=3)
    assert RowTokens.of(rows[:1]).shared == 0
    assert RowTokens.of([TokenRow([1, 2], [3]), TokenRow([1, 2], [4])]).shared == 1
    assert RowTokens.of(rows).stretched(3.0) == RowTokens(mean=11, longest=11, target=2, shared=3)


def test_pairs_go_side_by_side_and_their_scores_stand_in_tiles_at_every_position() -> None:
    settings = TrainSettings(rank=8, batch_size=4, micro_tokens=512)
    pairs = ROWS.compared(settings)
    found = plan_memory(SMALL, settings, pairs, DEV)
    # Three pairs of 160 tokens in 512; 32,768 of the words, and their float32 copies on the way back.
    assert found.logits == 3 * 160 * 32_768 * (2 + 33)
    assert found.reference == 0
    assert plan_memory(SMALL, replace(settings, batch_size=2), pairs, DEV).logits == 2 * 2 * 80 * 32_768 * 35
    # A pair is never cut, its answers are.
    fewest = replace(settings, micro_tokens=SMALLEST_PART)
    assert plan_memory(SMALL, fewest, pairs, DEV).logits == 184 * 32_768 * (2 + 33)
    kto = ROWS.compared(replace(settings, loss="kto"))
    assert plan_memory(SMALL, fewest, kto, DEV).logits < plan_memory(SMALL, fewest, pairs, DEV).logits


def test_a_reference_is_a_whole_model_only_where_all_of_it_is_trained() -> None:
    for loss, there in (("dpo", True), ("kto", True), ("orpo", False)):
        settings = TrainSettings(adapter="full", loss=loss)  # type: ignore[arg-type]
        found = plan_memory(SMALL, settings, ROWS.compared(settings), DEV)
        assert found.reference == (2 * SMALL.parameters if there else 0)
    rewarded = TrainSettings(adapter="full", beta=0.1)
    assert plan_memory(SMALL, rewarded, ROWS.rewarded(rewarded, 16), DEV).reference == 2 * SMALL.parameters
    assert plan_memory(SMALL, rewarded, ROWS.rewarded(replace(rewarded, beta=0.0), 16), DEV).reference == 0


def test_drawing_answers_takes_room_as_answering_does() -> None:
    settings = TrainSettings(rank=8, batch_size=8, generations=4, micro_tokens=64)
    few = plan_memory(SMALL, settings, ROWS.rewarded(settings, 8))
    many = plan_memory(SMALL, settings, ROWS.rewarded(settings, 200))
    cache = 2 * 30 * 3 * 64 * 2 * 32 * (200 - 8)
    assert many.scoring - few.scoring > cache
    # One of a set is scored once for a question, however many are drawn.
    chosen = plan_memory(SMALL, settings, ROWS.rewarded(settings, 3, choices=40))
    more = replace(settings, generations=64)
    assert plan_memory(SMALL, more, ROWS.rewarded(more, 3, choices=40)).scoring == chosen.scoring


def test_weights_cut_over_processes_are_whole_where_dev_is_answered() -> None:
    alone, settings = plan(adapter="full"), TrainSettings(rank=8, batch_size=64, adapter="full")
    half = plan_memory(SMALL, settings, ROWS, DEV, shards=2)
    assert (half.weights, half.masters, half.optimiser) == (
        alone.weights // 2,
        pytest.approx(alone.masters / 2, rel=1e-6),
        pytest.approx(alone.optimiser / 2, rel=1e-6),
    )
    assert half.scoring == alone.scoring + alone.weights
    assert (half.checkpoint, half.disk) == (alone.checkpoint, alone.disk)
    # Two blocks of 30, and the embeddings.
    assert 0.2 * alone.weights < half.gathered < 0.35 * alone.weights
    assert alone.gathered == 0


def test_without_room_for_all_weights_dev_is_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rung.training import room

    settings, dev = TrainSettings(rank=8, batch_size=2, micro_tokens=128), replace(DEV, prompt=4000.0)
    needed = plan_memory(SMALL, settings, ROWS, dev, shards=4)
    less = plan_memory(SMALL, settings, ROWS, replace(dev, answered=False), shards=4)
    assert less.peak < needed.peak
    for there, by_loss in ((needed.peak, False), (needed.peak - 1, True)):
        monkeypatch.setattr(room, "memory_there", lambda device, there=there: there)
        found = look_around(SMALL, settings, ROWS, dev, tmp_path, shards=4)
        assert found.by_loss is by_loss
        # One process has its weights whole anyway.
        assert look_around(SMALL, settings, ROWS, dev, tmp_path).by_loss is False


def test_sizes_come_from_a_configuration_alone() -> None:
    config = {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 352,
        "intermediate_size": 96, "tie_word_embeddings": True,
    }  # fmt: skip
    found = sizes_of(config, "fp32", "cuda:0")
    assert found is not None
    assert (found.head_width, found.weight_bytes, found.device) == (16, 4, "cuda")
    assert found.parameters == 352 * 64 + 2 * (64 * 16 * 12 + 3 * 64 * 96)
    assert sizes_of({"hidden_size": 64}, "fp32", "cpu") is None


def test_a_container_may_have_less_memory_than_its_machine(tmp_path: Path) -> None:
    machine = free_memory(groups=tmp_path)
    assert machine > 0
    for name, text in (("max", "900"), ("current", "500"), ("stat", "anon 1\ninactive_file 100\n")):
        (tmp_path / f"memory.{name}").write_text(text, "ascii")
    assert free_memory(groups=tmp_path) == 500
    (tmp_path / "memory.max").write_text("max", "ascii")
    assert free_memory(groups=tmp_path) == pytest.approx(machine, rel=0.5)
    (tmp_path / "memory").mkdir()
    for name, text in (("limit_in_bytes", "300"), ("usage_in_bytes", "400"), ("stat", "")):
        (tmp_path / "memory" / f"memory.{name}").write_text(text, "ascii")
    assert free_memory(groups=tmp_path) == 0


def test_a_training_without_room_takes_fewer_tokens_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rung.training import room

    settings, rows = TrainSettings(batch_size=400, micro_tokens=4096), RowTokens.of(easy_rows(60))
    free = look_around(SMALL, settings, rows, None, tmp_path)
    monkeypatch.setattr(room, "memory_there", lambda device: 1 << 50)
    assert look_around(SMALL, settings, rows, None, tmp_path).ceiling is None
    monkeypatch.setattr(room, "memory_there", lambda device: int(free.plan.peak * 0.8) if free.ceiling is None else 1)
    found = look_around(SMALL, settings, rows, None, tmp_path)
    assert found.ceiling is not None
    assert found.ceiling.tokens == found.plan.micro_tokens < 4096
    assert found.ceiling.note["kind"] == "planned_memory"


def test_what_a_job_has_written_already_counts_as_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil
    from types import SimpleNamespace

    settings, rows = TrainSettings(rank=8), RowTokens.of(easy_rows(8))
    needed = look_around(SMALL, settings, rows, None, tmp_path).plan.disk
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=needed - 1000))
    with pytest.raises(WriteError) as caught:
        look_around(SMALL, settings, rows, None, tmp_path)
    assert caught.value.code == "E5010"
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "old").write_bytes(bytes(1000))
    look_around(SMALL, settings, rows, None, tmp_path)
