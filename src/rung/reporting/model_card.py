"""The model card of an export: README.md with the head that Hugging Face reads, in the task's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rung.core.candidate import Candidate
from rung.core.evaluation import Summary
from rung.core.prompt import render
from rung.core.task import Language
from rung.reporting.words import Words
from rung.store.export import ExportRecord
from rung.store.runs import RunFolder

PROOF_COLUMNS = ("form", "engine", "n", "same", "differ", "upper", "allowed", "gap", "verdict")
_LIBRARY = {"hf": "transformers", "llama-factory": "peft", "gguf": "gguf", "ollama": "gguf"}
_VLLM_REFUSES = {"vllm_dora", "vllm_modules_to_save", "vllm_bias", "vllm_unknown", "vllm_rank_too_large"}
_PACKAGED = {"smollm2-135m": "apache-2.0"}
_SHOWN = (
    "adapter", "rank", "alpha", "targets", "virtual_tokens", "dropout", "optimiser", "learning_rate", "schedule", "warmup",
    "weight_decay", "label_smoothing", "neftune", "batch_size", "epochs", "max_steps", "max_length", "seed",
)  # fmt: skip


def model_card(run: RunFolder, record: ExportRecord, language: Language = "en") -> str:
    """The card as Markdown."""
    words, candidate, about = Words(language), run.read_candidate(record.candidate), run.read_run()
    task = about.get("task", {})
    parts = [
        _head(record, candidate, task),
        f"# {task.get('name', run.path.name)}",
        words("model_card.intro", method=words.method(record.method), base=record.base["name"], run=record.run),
        f"## {words('model_card.use')}",
        _use(candidate, task, words),
        f"## {words('model_card.load')}",
        *_loading(record, words),
        f"## {words('model_card.quality')}",
        _quality(run, record, words),
        f"## {words('model_card.proof')}",
        *_proof(record, words),
        f"## {words('model_card.training')}",
        _training(record, words),
        f"## {words('model_card.data')}",
        _data(record, about, words),
        f"## {words('model_card.limits')}",
        "\n".join(f"- {line}" for line in _limits(record, about, words)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(record: ExportRecord, candidate: Candidate, task: Mapping[str, Any]) -> str:
    """What nobody has said stays out."""
    kind = str(record.adapter["kind"])
    head: dict[str, Any] = {
        # Hugging Face takes a hub id here; a folder of the team's own has none.
        "base_model": record.base["name"] if "/" in record.base["name"] else None,
        "base_model_relation": "quantized" if record.quant == "q8_0" else "finetune",
        "license": _licence(candidate),
        "language": [task.get("language", "en")],
        "library_name": _LIBRARY[record.form],
        "pipeline_tag": "text-generation",
        "tags": ["rung", *record.method.split("+"), kind, *([record.quant] if record.quant else [])],
    }
    written = yaml.safe_dump({k: v for k, v in head.items() if v}, allow_unicode=True, sort_keys=False)
    return f"---\n{written}---"


def _licence(candidate: Candidate) -> str:
    """The base's licence, where its own card beside the weights names one; '' where nobody has said."""
    if candidate.model.id in _PACKAGED:
        return _PACKAGED[candidate.model.id]
    path = Path(candidate.model.id) / "README.md"
    if not path.is_file():
        return ""
    pieces = path.read_text("utf-8", "replace").split("---\n")
    try:
        said = yaml.safe_load(pieces[1]) if len(pieces) > 2 and not pieces[0].strip() else {}
    except yaml.YAMLError:
        return ""
    found = said.get("license") if isinstance(said, dict) else None
    return found if isinstance(found, str) else ""


def _use(candidate: Candidate, task: Mapping[str, Any], words: Words) -> str:
    """How a question is put: the same text that was trained and evaluated, with a mark where the question stands."""
    inputs = {name: "{" + name + "}" for name in candidate.prompt.fields}
    shown = render(candidate.prompt, inputs, choices=candidate.output.choices)
    turns = "\n\n".join(f"[{message.role}]\n{message.text}" for message in shown)
    lines = [str(task.get("instruction", "")), words("model_card.prompt"), f"````text\n{turns}\n````"]
    if candidate.output.choices:
        lines.append(words("model_card.choices", n=len(candidate.output.choices)))
    return "\n\n".join(line for line in lines if line)


def _loading(record: ExportRecord, words: Words) -> list[str]:
    kind, base = record.adapter["kind"], record.base["name"]
    python: list[str] = []
    parts: list[str] = []
    merged = record.form == "hf" and kind not in {"soft", "prefix"}
    if merged:
        python += [
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            'model = AutoModelForCausalLM.from_pretrained("FOLDER")',
            'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        ]
        parts.append(_code("\n".join(python), "python"))
    if kind != "full" and record.form in {"hf", "llama-factory"}:
        python = [
            "from peft import PeftModel",
            "from transformers import AutoModelForCausalLM",
            f'base = AutoModelForCausalLM.from_pretrained("{base}")',
            'model = PeftModel.from_pretrained(base, "FOLDER/adapter")',
        ]
        parts.append(_code("\n".join(python), "python"))
    if merged:
        parts.append(_code("vllm serve FOLDER", "sh"))
        if kind == "lora" and not _VLLM_REFUSES & set(record.notes):
            rank = f" --max-lora-rank {record.values['rank']}" if "vllm_rank" in record.notes else ""
            parts.append(_code(f"vllm serve {base} --enable-lora --lora-modules tuned=FOLDER/adapter{rank}", "sh"))
    if record.form == "gguf":
        parts.append(_code(f"llama-server -m FOLDER/{_gguf(record)}", "sh"))
    if record.form == "ollama":
        parts.append(_code(f"cd FOLDER && ollama create {record.method.replace('+', '-')} -f Modelfile", "sh"))
    if record.form == "llama-factory":
        parts.append(
            _code("cd FOLDER && llamafactory-cli chat inference.yaml\nllamafactory-cli train train.yaml", "sh")
        )
    return [*parts, "\n".join(f"- {note}" for note in note_lines(record, words))]


def _gguf(record: ExportRecord) -> str:
    return f"{record.candidate}-{record.quant}.gguf".replace("+", "-")


def note_lines(record: ExportRecord, words: Words) -> list[str]:
    """What a reader should know, a sentence each."""
    named = {"rank": record.values.get("rank", ""), "vllm": record.values.get("vllm", ""), "base": record.base["name"]}
    return [words(f"export.note.{note}", **named) for note in record.notes]


def _code(text: str, kind: str) -> str:
    return f"```{kind}\n{text}\n```"


def _quality(run: RunFolder, record: ExportRecord, words: Words) -> str:
    rows = []
    for split in ("test", "dev"):
        evaluation = run.read_evaluation(record.candidate, split)
        for name, summary in (evaluation.summaries if evaluation else {}).items():
            rows.append((words.known(f"screen.{split}", split), words.metric(name), *_numbers(summary)))
    if not rows:
        return words("model_card.unevaluated")
    heads = [words(f"model_card.{name}") for name in ("split", "metric", "value", "interval", "questions", "failed")]
    return _table(heads, rows)


def _numbers(summary: Summary) -> tuple[str, str, str, str]:
    value = "–" if summary.value is None else f"{summary.value:.3f}"
    known = summary.low is not None and summary.high is not None
    interval = f"{summary.low:.3f} – {summary.high:.3f}" if known else "–"
    return value, interval, str(summary.n), str(summary.failed)


def _proof(record: ExportRecord, words: Words) -> list[str]:
    if record.proof is None:
        return [words("model_card.unproven")]
    return [words("model_card.proved", n=record.proof.n), proof_table(record, words)]


def proof_table(record: ExportRecord, words: Words) -> str:
    """The proof as a Markdown table; '' without one."""
    if record.proof is None or not record.proof.engines:
        return ""
    return _table([words(f"export.{name}") for name in PROOF_COLUMNS], proof_rows(record, words))


def proof_rows(record: ExportRecord, words: Words) -> list[tuple[str, ...]]:
    """One row for each way to answer."""
    rows: list[tuple[str, ...]] = []
    for engine in record.proof.engines if record.proof else ():
        informative = engine.tolerance is None
        verdict = "information" if informative else "holds" if engine.holds else "parts"
        rows.append(
            (
                words(f"export.form.{engine.name}"),
                engine.engine,
                str(engine.n),
                str(engine.same),
                str(engine.differ),
                f"{engine.upper:.0%}",
                "–" if informative else str(engine.allowed),
                "–" if engine.largest_gap is None else f"{engine.largest_gap:.4f}",
                words(f"export.{verdict}"),
            )
        )
    return rows


def _training(record: ExportRecord, words: Words) -> str:
    rows = [(name, str(record.settings[name])) for name in _SHOWN if record.settings.get(name) is not None]
    plain = {name: value for name, value in record.result.items() if isinstance(value, str | int | float)}
    rows += [(name, f"{value:,.4g}" if isinstance(value, float) else str(value)) for name, value in plain.items()]
    return (
        _table((words("model_card.setting"), words("model_card.value")), rows) if rows else words("model_card.unkept")
    )


def _data(record: ExportRecord, about: Mapping[str, Any], words: Words) -> str:
    sizes = about.get("data", {}).get("n", {})
    rows = [
        (words.known(f"screen.{name}", name), str(sizes.get(name, "–")), f"`{record.made_from.get(name, '–')}`")
        for name in ("train", "dev", "test")
    ]
    base = record.base
    lines = [
        _table((words("model_card.split"), words("model_card.questions"), words("model_card.hash")), rows),
        words(
            "model_card.base",
            name=base["name"],
            revision=base["revision"] or "–",
            hash=base["weights_sha256"][:16] or "–",
        ),
    ]
    return "\n\n".join(lines)


def _limits(record: ExportRecord, about: Mapping[str, Any], words: Words) -> Iterable[str]:
    yield words("model_card.limit.task")
    yield words("model_card.limit.prompt")
    if record.base["precision"]:
        yield words("model_card.limit.precision", precision=record.base["precision"])
    if about.get("task", {}).get("output", {}).get("kind") == "label":
        yield words("model_card.limit.labels")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in lines
    )
