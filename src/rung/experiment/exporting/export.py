"""Exporting a tuned candidate: write the form that was asked for, prove that it answers the same, and publish it whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

from rung.core.candidate import Candidate
from rung.core.durable import aside, sync, write_json, write_text, writing
from rung.core.errors import UsageError, WriteError
from rung.core.hashing import hash_file
from rung.core.method import Progress, Silent
from rung.core.prompt import render
from rung.experiment.exporting.llama_factory import write_llama_factory
from rung.experiment.exporting.modelfile import find_family, is_kept, modelfile
from rung.experiment.exporting.proof import QUESTIONS, prove, set_exam
from rung.experiment.exporting.subject import SOFT, Subject, find_subject
from rung.experiment.exporting.weights import (
    ADAPTER,
    base_title,
    vllm_notes,
    vllm_rank,
    vllm_unknown,
    write_adapter,
    write_merged,
)
from rung.models.embedded import NAME as EMBEDDED
from rung.models.embedded import embedded_folder
from rung.models.gguf_file import QUANTS, Quant, read_shape, write_gguf
from rung.store.export import FILE, ExportRecord, Form, Proof
from rung.store.runs import RunFolder

FORMS: tuple[Form, ...] = get_args(Form)
_MERGED = ".merged"
UNPROVEN = ".unproven"
_VERSIONS = ("rung", "torch", "transformers", "peft", "safetensors", "gguf", "llama-cpp-python")


@dataclass(frozen=True)
class Order:
    """What is asked for."""

    form: str
    candidate: str | None = None
    out: Path | None = None
    quant: str = "f16"
    check: int = QUESTIONS
    """Questions of the proof; 0 leaves it out."""
    tolerance: float | None = None
    force: bool = False


@dataclass(frozen=True)
class Exported:
    """Where the folder lies, and its record."""

    path: Path
    record: ExportRecord

    @property
    def proved(self) -> bool:
        """False where the answers part: the folder then lies under another name."""
        return self.record.proof is None or self.record.proof.holds


def export_candidate(
    run: RunFolder, order: Order, *, card: Callable[[ExportRecord], str], progress: Progress | None = None
) -> Exported:
    """Write a tuned candidate for another engine. The folder appears whole or not at all.

    `card` makes README.md. Where the proof fails, the folder is `<name>.unproven`. Raises UsageError E6200-E6214, WriteError
    E5001, E5002; then nothing of it is left.
    """
    subject = find_subject(run, order.candidate)
    form, quant = _checked(order, subject)
    target = order.out or run.path / "exports" / "-".join([subject.id, form, *([quant] if quant else [])])
    if target.exists() and not (order.force and (target / FILE).is_file()):
        raise UsageError("E6202", path=target)
    working = aside(target.absolute())
    try:
        with _disk(target):
            working.mkdir(parents=True)
            record = _written(subject, working, form, quant, order, progress or Silent())
            write_text(working / "README.md", card(record))
            record = record.model_copy(update={"files": _files(working)})
            write_json(working / FILE, record.model_dump(mode="json"))
            proved = record.proof is None or record.proof.holds
            place = target if proved else target.with_name(target.name + UNPROVEN)
            _publish(working, place)
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return Exported(place, record)


def _checked(order: Order, subject: Subject) -> tuple[Form, Quant | None]:
    """The order's own mistakes, and forms that this candidate cannot take."""
    if order.form not in FORMS:
        raise UsageError("E6203", value=order.form, known=", ".join(FORMS))
    if order.quant not in QUANTS:
        raise UsageError("E6212", value=order.quant, known=", ".join(QUANTS))
    if order.tolerance is not None and not 0 <= order.tolerance <= 1:
        raise UsageError("E6211", value=order.tolerance)
    if subject.slot.kind in SOFT and order.form != "hf":
        raise UsageError("E6204", kind=subject.slot.kind, form=order.form)
    if order.check > 0 and not subject.run.read_examples("dev"):
        raise UsageError("E6213", path=subject.run.path)
    return order.form, order.quant if order.form in {"gguf", "ollama"} else None  # type: ignore[return-value]


@dataclass
class _Made:
    """What has been written so far, and what is to be said about it."""

    merged: Path | None = None
    adapter: Path | None = None
    gguf: tuple[Path, Quant] | None = None
    notes: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)


def _written(
    subject: Subject, working: Path, form: Form, quant: Quant | None, order: Order, progress: Progress
) -> ExportRecord:
    candidate = subject.candidate
    made = _Made()
    if form == "llama-factory":
        _write_for_llama_factory(subject, working, made)
    elif form == "hf":
        _write_for_hf(subject, working, made)
    else:
        assert quant is not None
        _write_gguf_form(subject, working, form, quant, made, progress)
    if candidate.retriever or (candidate.shots and candidate.shots.mode == "nearest"):
        made.notes.append("needs_retrieval")
    write_json(working / "candidate.json", {"id": subject.id, **candidate.model_dump(mode="json")})
    proof = _proved(subject, made, order, progress) if order.check > 0 else None
    shutil.rmtree(working / _MERGED, ignore_errors=True)
    ref = candidate.model
    return ExportRecord(
        form=form,
        candidate=subject.id,
        run=subject.run.path.name,
        method=candidate.method,
        base={
            "id": ref.id,
            "name": base_title(subject),
            "revision": ref.revision,
            "engine": ref.engine,
            "precision": ref.precision,
            "weights_sha256": ref.weights.sha256 if ref.weights else "",
        },
        adapter={"kind": subject.slot.kind, "sha256": subject.slot.sha256},
        quant=quant or "",
        made_from=candidate.made_from,
        settings=subject.settings,
        result={name: value for name, value in subject.result.items() if name not in subject.settings},
        versions=dict(_versions()),
        notes=tuple(made.notes),
        values=made.values,
        proof=proof,
    )


def _write_for_hf(subject: Subject, working: Path, made: _Made) -> None:
    """The whole model where weights can be merged, and the PEFT folder where there is one."""
    kind = subject.slot.kind
    if kind not in SOFT:
        made.merged = working
        write_merged(subject, working)
    if kind != "full":
        _add_adapter(subject, working, made)
        made.notes += vllm_notes(subject.adapter_config) if kind == "lora" else ["soft_prompt"]


def _write_for_llama_factory(subject: Subject, working: Path, made: _Made) -> None:
    family = find_family(_base_place(subject), "llama-factory", subject.candidate.model.revision)
    made.values |= write_llama_factory(subject, working, family)
    made.notes += ["trained_on_cpu"] if subject.candidate.model.engine == "transformers-cpu" else []
    if subject.slot.kind == "full":
        made.merged = working / ADAPTER
        write_merged(subject, made.merged)
    else:
        _add_adapter(subject, working, made)


def _add_adapter(subject: Subject, working: Path, made: _Made) -> None:
    made.adapter = working / ADAPTER
    write_adapter(subject, made.adapter)
    made.values["rank"] = vllm_rank(subject.adapter_config)
    if unknown := vllm_unknown(subject.adapter_config):
        made.values["vllm"] = ", ".join(unknown)
    if subject.candidate.model.id == EMBEDDED:
        made.notes.append("packaged_base")


def _write_gguf_form(
    subject: Subject, working: Path, form: Form, quant: Quant, made: _Made, progress: Progress
) -> None:
    """One GGUF file, from merged weights that go when the proof is done; for Ollama its Modelfile too."""
    made.merged = working / _MERGED
    write_merged(subject, made.merged)
    path = working / f"{subject.id}-{quant}.gguf".replace("+", "-")
    family = find_family(made.merged, form) if form == "ollama" else None
    made.values |= write_gguf(made.merged, path, quant, name=subject.id, progress=progress)
    made.gguf = (path, quant)
    if family is not None:
        candidate, context = subject.candidate, read_shape(made.merged).context
        system = _system_message(candidate)
        most = None if candidate.output.constrain else candidate.output.max_tokens
        text = modelfile(family, path.name, system=system, context=context, most=most)
        write_text(working / "Modelfile", text)
        made.notes += [] if is_kept(system) else ["modelfile_letters"]


def _system_message(candidate: Candidate) -> str:
    """What every prompt of the candidate begins with; '' where it has no system message."""
    turns = render(candidate.prompt, dict.fromkeys(candidate.prompt.fields, ""), choices=candidate.output.choices)
    return "\n".join(turn.text for turn in turns if turn.role == "system")


def _proved(subject: Subject, made: _Made, order: Order, progress: Progress) -> Proof:
    seed = int(subject.run.read_run().get("seed", 0))
    exam = set_exam(subject, order.check, seed)
    forms: dict[str, Any] = {"merged": made.merged, "adapter": made.adapter, "gguf": made.gguf}
    proof = prove(subject, exam, seed=seed, tolerance=order.tolerance, progress=progress, **forms)
    made.notes += ["beside_differs"] if any(row.name == "beside" and row.differ for row in proof.engines) else []
    made.notes += ["engine_untried"] if proof.untried else []
    made.notes += ["tokens_differ"] if any(row.tokens_alike not in {None, row.n} for row in proof.engines) else []
    return proof


def _base_place(subject: Subject) -> Path | str:
    """Where the base's tokenizer is read from."""
    return embedded_folder() if subject.candidate.model.id == EMBEDDED else subject.candidate.model.id


def _versions() -> Iterator[tuple[str, str]]:
    for name in _VERSIONS:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": hash_file(path)} for path in paths
    }


def _publish(working: Path, target: Path) -> None:
    """Put every file on disk, then the folder in its place; an earlier export is moved aside first, and removed last."""
    usual = (working / FILE).stat().st_mode
    for path in sorted(working.rglob("*")):
        if path.is_file():
            # safetensors lets only the owner read what it writes; a server often runs as somebody else.
            path.chmod(usual)
        sync(path)
    old = aside(target)
    if target.exists():
        target.rename(old)
    working.rename(target)
    sync(target.absolute().parent)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _disk(target: Path) -> Iterator[None]:
    """A disk's refusal as WriteError, the one that safetensors reports in its own way too."""
    from safetensors import SafetensorError

    try:
        with writing(target):
            yield
    except SafetensorError as error:
        raise WriteError("E5001", path=target, reason=str(error)[:200]) from error
