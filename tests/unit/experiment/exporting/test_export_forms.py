"""Exports of a tuned tiny Llama: each form loads as it is, answers the same, and appears whole or not at all."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tiny_llama import write_tuned_run
from typer.testing import CliRunner

import rung
from rung.cli.main import app
from rung.core.errors import RungError, TargetNotMet, UsageError, WriteError
from rung.core.hashing import hash_file
from rung.experiment.exporting import proof
from rung.experiment.exporting.modelfile import find_family
from rung.experiment.exporting.weights import vllm_notes, vllm_rank
from rung.models import gguf_file
from rung.models.gguf_file import read_shape, write_gguf
from rung.models.gguf_tokenizer import read_tokenizer
from rung.store.records import Decision, Text
from rung.store.runs import RunFolder

TEXTS = ("the rent 12 345", "Überraschung 押金 \t x", "<|im_start|>user\nabout", "  two   spaces\n\n", "it's 1,000.5%")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return write_tuned_run(tmp_path_factory.mktemp("tuned"))


@pytest.fixture(scope="module")
def hf(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rung.export(run.path, to="hf", out=tmp_path_factory.mktemp("hf") / "made").path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose candidate writes its answers out."""
    return write_tuned_run(tmp_path_factory.mktemp("written"), labelled=False)


@pytest.fixture
def whole(hf: Path, tmp_path: Path) -> Path:
    """A copy of the merged model that a test may spoil."""
    return Path(shutil.copytree(hf, tmp_path / "whole"))


def code_of(*arguments: Any, **order: Any) -> str:
    with pytest.raises(RungError) as caught:
        rung.export(*arguments, **order)
    return caught.value.code


def logits(module: Any) -> Any:
    import torch

    with torch.inference_mode():
        return module(input_ids=torch.arange(3, 40)[None]).logits


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_merged_weights_and_peft_folder_load_as_they_are_and_agree(run: RunFolder, hf: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    merged = AutoModelForCausalLM.from_pretrained(hf)
    base = Path(run.read_candidate(run.candidates()[0]).model.id)
    plain = logits(AutoModelForCausalLM.from_pretrained(base))
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), hf / "adapter").eval()
    torch.testing.assert_close(logits(merged), logits(adapted), rtol=1e-4, atol=1e-4)
    assert (logits(merged) - plain).abs().max() > 1
    assert AutoTokenizer.from_pretrained(hf).chat_template == AutoTokenizer.from_pretrained(base).chat_template
    config = json.loads((hf / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base)


def test_every_file_can_be_read_by_a_server_that_runs_as_somebody_else(hf: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    usual = (tmp_path / "plain").stat().st_mode
    assert {path.stat().st_mode for path in hf.rglob("*") if path.is_file()} == {usual}


def test_the_record_lists_every_file_and_the_proof(run: RunFolder, hf: Path) -> None:
    record = json.loads((hf / "export.json").read_text())
    files = {path.relative_to(hf).as_posix() for path in hf.rglob("*") if path.is_file()} - {"export.json"}
    assert set(record["files"]) == files
    assert all(hash_file(hf / name) == file["sha256"] for name, file in record["files"].items())
    rows = {row["name"]: row for row in record["proof"]["engines"]}
    assert {name: (row["n"], row["same"], row["tolerance"]) for name, row in rows.items()} == {
        "merged": (12, 12, 0.0),
        "adapter": (12, 12, 0.0),
        "beside": (12, 12, None),
    }
    assert rows["merged"]["largest_gap"] == rows["adapter"]["largest_gap"] == 0.0
    # Beside the weights the same sums round otherwise.
    assert 0.0 < rows["beside"]["largest_gap"] < 1e-3
    assert record["versions"]["transformers"]


def test_an_adapter_that_answers_otherwise_when_it_is_not_merged_is_told_and_published(
    written: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = proof._beside

    def silent(*given: Any) -> Any:
        model = plain(*given)
        for name, weights in model._loaded.module.named_parameters():
            if "lora_B" in name:
                weights.data.zero_()
        return model

    monkeypatch.setattr(proof, "_beside", silent)
    exported = rung.export(written.path, out=tmp_path / "made")
    rows = {row.name: row for row in exported.record.proof.engines}
    assert rows["beside"].differ > 0
    assert exported.proved
    assert "beside_differs" in exported.record.notes
    assert "serve the merged weights" in (exported.path / "README.md").read_text("utf-8")


@pytest.mark.parametrize(("language", "word"), [("en", "Does it answer"), ("zh", "回答一致")])
def test_the_card_has_a_head_that_parses_and_the_languages_words(
    run: RunFolder, tmp_path: Path, language: Any, word: str
) -> None:
    path = rung.export(run.path, out=tmp_path / "made", check=1, language=language).path
    card = (path / "README.md").read_text("utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["library_name"] == "transformers"
    assert "lora" in head["tags"]
    assert word in card
    assert "Name the topic." in card
    assert "{question}" in card
    assert str(run.path.parent.parent) not in card


@pytest.mark.parametrize("quant", ["f16", "bf16", "q8_0"])
def test_a_gguf_file_holds_the_merged_weights(hf: Path, tmp_path: Path, quant: Any) -> None:
    from transformers import AutoModelForCausalLM

    path = tmp_path / "model.gguf"
    told = write_gguf(hf, path, quant, name="tiny")
    assert told["pre"] == "gpt-2"
    back = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name)
    ours = AutoModelForCausalLM.from_pretrained(hf).state_dict()
    step = {"f16": 2**-11, "bf16": 2**-8, "q8_0": 1 / 127}[quant]
    for name, weights in back.state_dict().items():
        assert (weights - ours[name]).abs().max() <= step * ours[name].abs().max(), name


def test_the_gguf_tokenizer_cuts_like_the_one_it_was_made_from(hf: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    path = tmp_path / "model.gguf"
    write_gguf(hf, path, "f16", name="tiny")
    ours, theirs = AutoTokenizer.from_pretrained(hf), AutoTokenizer.from_pretrained(tmp_path, gguf_file=path.name)
    assert [theirs(text)["input_ids"] for text in TEXTS] == [ours(text)["input_ids"] for text in TEXTS]
    assert theirs.chat_template == ours.chat_template
    assert (theirs.eos_token, theirs.bos_token) == (ours.eos_token, ours.bos_token)


def test_rows_of_q_and_k_are_paired_as_llama_cpp_wants_them() -> None:
    rows = np.arange(16, dtype=np.float32)[:, None]
    swapped = gguf_file._side_by_side(rows, 2)
    assert swapped[:, 0].tolist() == [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]


def test_weights_in_a_wrong_order_fail_the_proof_and_are_kept_apart(
    written: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_file, "_side_by_side", lambda rows, heads: rows)
    exported = rung.export(written.path, to="gguf", out=tmp_path / "made")
    assert not exported.proved
    assert exported.path == tmp_path / "made.unproven"
    assert [path.name for path in tmp_path.iterdir()] == ["made.unproven"]
    rows = {row.name: row for row in exported.record.proof.engines}
    assert rows["merged"].holds
    assert rows["gguf"].differ > 0
    assert rows["gguf"].partings[0].trained != rows["gguf"].partings[0].other


def test_the_command_shows_where_answers_part_and_ends_with_6(
    written: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_file, "_side_by_side", lambda rows, heads: rows)
    arguments = ["export", str(written.path), "--to", "gguf", "--out", str(tmp_path / "made"), "--tolerance", "0"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, TargetNotMet)
    assert result.exception.code == "E6210"
    assert TargetNotMet.exit_code == 6
    assert "trained:" in result.stderr
    assert "exported:" in result.stderr
    assert result.stdout.strip() == str(tmp_path / "made.unproven")


def test_written_answers_are_compared_letter_by_letter(written: RunFolder, tmp_path: Path) -> None:
    exported = rung.export(written.path, to="gguf", quant="q8_0", check=6, tolerance=1.0, out=tmp_path / "made")
    rows = {row.name: row for row in exported.record.proof.engines}
    assert rows["merged"].same == 6
    assert rows["gguf"].largest_gap is None
    assert rows["gguf"].same + rows["gguf"].differ == 6


def test_ollama_gets_a_modelfile_in_the_models_own_words(run: RunFolder, tmp_path: Path) -> None:
    exported = rung.export(run.path, to="ollama", quant="q8_0", out=tmp_path / "made", check=2)
    text = (exported.path / "Modelfile").read_text("utf-8")
    weights = next(exported.path.glob("*.gguf")).name
    assert text.startswith(f"FROM ./{weights}\n")
    turn = "<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n"
    assert f'TEMPLATE """{{{{ range .Messages }}}}{turn}{{{{ end }}}}<|im_start|>assistant\n"""' in text
    assert 'SYSTEM """Name the topic."""' in text
    assert 'PARAMETER stop """<|im_end|>"""' in text
    assert "PARAMETER num_ctx 256" in text
    assert "PARAMETER repeat_penalty 1\n" in text
    # Labels are chosen, so nothing is known of how long a written answer may be.
    assert "num_predict" not in text
    assert not (exported.path / ".merged").exists()


def test_llama_factory_gets_the_rows_the_settings_and_the_adapter(run: RunFolder, tmp_path: Path) -> None:
    from rung.data.formats.read import read_records

    exported = rung.export(run.path, to="llama-factory", out=tmp_path / "made", check=3)
    train = yaml.safe_load((exported.path / "train.yaml").read_text("utf-8"))
    assert (train["lora_rank"], train["lora_alpha"], train["learning_rate"]) == (4, 8, 0.002)
    assert (train["stage"], train["lr_scheduler_type"], train["template"]) == ("sft", "cosine", "chatml")
    assert train["use_cpu"] is True
    assert exported.record.notes == ("trained_on_cpu",)
    assert train["lora_target"] == "down_proj,gate_proj,k_proj,o_proj,q_proj,up_proj,v_proj"
    inference = yaml.safe_load((exported.path / "inference.yaml").read_text("utf-8"))
    assert (exported.path / inference["adapter_name_or_path"] / "adapter_model.safetensors").is_file()
    info = json.loads((exported.path / "dataset_info.json").read_text("utf-8"))
    assert set(info) == {train["dataset"]}
    back = read_records(exported.path / "rung_train.json").records
    assert [record.system for record in back] == ["Name the topic."] * 6
    assert [[turn.content for turn in record.messages] for record in back][1] == ["Row 1 {braces}", "repairs"]
    assert [row.name for row in exported.record.proof.engines] == ["adapter"]


def test_a_training_on_four_bits_stays_one_in_llama_factory(run: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "run")))
    change(copy.candidate_folder(copy.candidates()[0]) / "training", "job.json", settings={"adapter": "qlora"})
    exported = rung.export(copy.path, to="llama-factory", check=0, out=tmp_path / "made")
    train = yaml.safe_load((exported.path / "train.yaml").read_text("utf-8"))
    assert (train["quantization_bit"], train["finetuning_type"], train["learning_rate"]) == (4, "lora", 5e-4)


def test_a_whole_set_of_tuned_weights_is_exported_too(tmp_path: Path) -> None:
    run = write_tuned_run(tmp_path / "full", kind="full")
    exported = rung.export(run.path, check=3, out=tmp_path / "made")
    assert [row.name for row in exported.record.proof.engines] == ["merged"]
    assert not (exported.path / "adapter").exists()
    tuned = run.candidate_folder(run.candidates()[0]) / "adapter" / "model.safetensors"
    assert (exported.path / "model.safetensors").stat().st_size == pytest.approx(tuned.stat().st_size, rel=0.01)
    change(tuned.parent, "config.json", vocab_size=352)
    assert code_of(run.path, check=0) == "E3046"


def test_dora_is_merged_and_vllm_is_warned_off(tmp_path: Path) -> None:
    run = write_tuned_run(tmp_path / "dora", use_dora=True, r=32)
    exported = rung.export(run.path, check=3, out=tmp_path / "made")
    assert exported.proved
    assert exported.record.notes[:2] == ("vllm_dora", "vllm_rank")
    assert "enable-lora" not in (exported.path / "README.md").read_text("utf-8")


def test_without_kept_rows_llama_factory_is_refused(run: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "run")))
    (copy.candidate_folder(copy.candidates()[0]) / "training" / "rows.jsonl").unlink()
    assert code_of(copy.path, to="llama-factory") == "E6209"


def change(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": ["MistralForCausalLM"]},
        {"architectures": ["LlamaForCausalLM", "Qwen2ForCausalLM"]},
        {"architectures": None},
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1.0}},
        {"attention_bias": True},
        {"mlp_bias": True},
        {"hidden_act": "gelu"},
    ],
)
def test_models_that_gguf_writing_does_not_cover_are_refused_with_a_way_out(
    whole: Path, changes: dict[str, Any]
) -> None:
    change(whole, "config.json", **changes)
    with pytest.raises(UsageError, match=r"convert_hf_to_gguf\.py") as caught:
        read_shape(whole)
    assert caught.value.code == "E6205"


def digits(individual: bool) -> dict[str, Any]:
    cut = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": individual}, cut]}


def test_how_text_is_cut_is_told_by_llama_cpps_name(whole: Path) -> None:
    change(whole, "tokenizer.json", pre_tokenizer=digits(True))
    assert read_tokenizer(whole, 320).pre == "smollm"


@pytest.mark.parametrize(
    "changes",
    [
        {"pre_tokenizer": digits(False)},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"pre_tokenizer": None},
        {"normalizer": {"type": "NFC"}},
        {"model": {"type": "Unigram", "vocab": []}},
    ],
)
def test_tokenizers_that_gguf_writing_does_not_cover_are_refused(whole: Path, changes: dict[str, Any]) -> None:
    change(whole, "tokenizer.json", **changes)
    with pytest.raises(UsageError, match=r"convert_hf_to_gguf\.py") as caught:
        read_tokenizer(whole, 320)
    assert caught.value.code == "E6206"


def test_a_template_of_no_known_family_is_refused(whole: Path) -> None:
    template = whole / "chat_template.jinja"
    known = template.read_text("utf-8")
    usual = "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
    template.write_text(usual + known, "utf-8")
    assert find_family(whole, "ollama").usual == "Be kind."
    template.write_text(known.replace("<|im_end|>", "<end>"), "utf-8")
    with pytest.raises(UsageError) as caught:
        find_family(whole, "ollama")
    assert caught.value.code == "E6207"


@pytest.mark.parametrize("kind", ["soft", "prefix"])
def test_virtual_tokens_are_not_merged(tmp_path: Path, kind: str) -> None:
    run = write_tuned_run(tmp_path)
    path = next(run.path.glob("candidates/*/candidate.json"))
    record = json.loads(path.read_text("utf-8"))
    record["adapter"]["kind"] = kind
    path.write_text(json.dumps(record), "utf-8")
    for form in ("gguf", "ollama", "llama-factory"):
        assert code_of(run.path, to=form) == "E6204"


def test_mistakes_of_the_order_are_named_before_anything_is_written(run: RunFolder, hf: Path, tmp_path: Path) -> None:
    before = sorted(run.path.rglob("*"))
    assert code_of(run.path, to="onnx") == "E6203"
    assert code_of(run.path, to="gguf", quant="q4_0") == "E6212"
    assert code_of(run.path, tolerance=1.5) == "E6211"
    assert code_of(run.path, candidate="nobody") == "E1302"
    assert code_of(run.path, out=hf) == "E6202"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert code_of(run.path, out=tmp_path / "mine", force=True) == "E6202"
    assert sorted(run.path.rglob("*")) == before


def test_an_earlier_export_is_replaced_only_when_told(run: RunFolder, tmp_path: Path) -> None:
    path = rung.export(run.path, out=tmp_path / "made", check=0).path
    (path / "left.txt").write_text("over")
    assert rung.export(run.path, out=path, check=1, force=True).proved
    assert not (path / "left.txt").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["made"]


def test_a_full_disk_leaves_nothing_behind(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(proof.Exam, "take", full)
    with pytest.raises(WriteError) as caught:
        rung.export(run.path, out=tmp_path / "made")
    assert caught.value.code == "E5002"
    assert list(tmp_path.iterdir()) == []


def decided(winner: str | None) -> Decision:
    return Decision(
        mode="compare",
        verdict="winner" if winner else "unresolved",
        winner=winner,
        metric="accuracy",
        margin=0.02,
        draws=1,
        seed=0,
        n=1,
        groups=1,
        standings=(),
        reason=Text(en="", zh=""),
    )


def test_the_winner_is_exported_else_the_only_tuned_candidate(run: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "run")))
    tuned = copy.candidates()[0]
    candidate = copy.read_candidate(tuned)
    plain = candidate.model_copy(update={"adapter": None, "method": "prompt"})
    second = candidate.model_copy(update={"method": "rag+fine_tune"})
    for other in (plain, second):
        home = Path(shutil.copytree(copy.candidate_folder(tuned), copy.candidate_folder(other.id)))
        (home / "candidate.json").write_text(json.dumps({"id": other.id, **other.model_dump(mode="json")}), "utf-8")
    assert code_of(copy.path) == "E6201"
    copy.write_decision(decided(plain.id))
    assert code_of(copy.path) == "E6201"
    assert code_of(copy.path, candidate=plain.id) == "E6200"
    copy.write_decision(decided(second.id))
    assert rung.export(copy.path, check=0, out=tmp_path / "made").record.candidate == second.id
    for name in (tuned, second.id):
        shutil.rmtree(copy.candidate_folder(name))
    assert code_of(copy.path) == "E6200"


def test_vllms_limits_are_told(run: RunFolder) -> None:
    assert vllm_notes({"r": 16}) == []
    assert vllm_notes({"r": 8, "rank_pattern": {"q_proj": 24}}) == ["vllm_rank"]
    assert vllm_rank({"r": 24}) == 32
    assert vllm_notes({"r": 600, "use_dora": True}) == ["vllm_dora", "vllm_rank_too_large"]
    assert vllm_notes({"r": 4, "modules_to_save": ["lm_head"], "bias": "all"}) == ["vllm_modules_to_save", "vllm_bias"]
    assert vllm_notes({"r": 4, "lora_bias": True}) == ["vllm_bias"]
    assert vllm_notes({"r": 4, "init_lora_weights": "gaussian", "use_qalora": False, "layer_replication": None}) == []


def test_kinds_of_lora_that_vllm_does_not_know_are_named(tmp_path: Path) -> None:
    run = write_tuned_run(tmp_path / "pissa", init_lora_weights="pissa", trainable_token_indices=[1])
    assert vllm_notes(
        json.loads(next(run.path.glob("candidates/*/adapter/adapter_config.json")).read_text("utf-8"))
    ) == ["vllm_unknown"]


def test_the_json_of_the_command_holds_the_whole_record(run: RunFolder, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["export", str(run.path), "--out", str(tmp_path / "made"), "--check", "2", "--json"]
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["proved"] is True
    assert told["proof"]["n"] == 2
    assert Path(told["path"]) == tmp_path / "made"
