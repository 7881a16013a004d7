"""Peak memory of a training as it is planned and as it is measured, on the embedded model over a grid of settings.

`within`: share of the settings whose plan is within 15 % of the measured peak; `worst`: the largest difference. Each setting is trained in
a process of its own, as a run would do it, for a few steps with one scoring of dev and its checkpoints; the peak is the highest
resident memory that the system noted for that process. The 4-bit setting is left out where bitsandbytes is not installed. Rows are the
questions of examples/tenants-desk with the note that answers them. Each result is kept at once, beside those of other settings; with
names of settings, only those are measured anew.
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from harness import RESULTS, ROOT, finish, say

WITHIN = 0.15
STEPS = 2
ROWS, DEV = 32, 4
KINDS = {"dpo": "preference", "kto": "preference", "grpo": "reinforce"}
"""What is learned, by the first word of a setting's name; answers where it says nothing."""
LONG, SHORT = 90, 20
"""Words of a note that a long row shows, and a short one."""
GRID: dict[str, dict] = {
    "lora r8, 128": {"rank": 8, "micro_tokens": 128, "batch_size": 4},
    "lora r8, 512": {"rank": 8, "micro_tokens": 512},
    "lora r8, 1024": {"rank": 8, "micro_tokens": 1024},
    "lora r8, 512, adafactor": {"rank": 8, "micro_tokens": 512, "optimiser": "adafactor"},
    "lora r8, 1024, checkpointing": {"rank": 8, "micro_tokens": 1024, "gradient_checkpointing": True},
    "lora r8, 512, short rows": {"rank": 8, "micro_tokens": 512, "batch_size": 24},
    "lora r64, 512": {"rank": 64, "micro_tokens": 512},
    "lora r64, 1024, adafactor": {"rank": 64, "micro_tokens": 1024, "optimiser": "adafactor"},
    "qlora r8, 512": {"adapter": "qlora", "rank": 8, "micro_tokens": 512},
    "dora r8, 512": {"adapter": "dora", "rank": 8, "micro_tokens": 512},
    "dora r8, 1024, checkpointing": {"adapter": "dora", "rank": 8, "micro_tokens": 1024, "gradient_checkpointing": True},
    "full, 128": {"adapter": "full", "micro_tokens": 128, "batch_size": 4},
    "full, 512, adafactor": {"adapter": "full", "micro_tokens": 512, "optimiser": "adafactor"},
    "full, 1024, checkpointing": {"adapter": "full", "micro_tokens": 1024, "gradient_checkpointing": True},
    "full, 512, labels": {"adapter": "full", "micro_tokens": 512},
    "lora r8, 512, labels": {"rank": 8, "micro_tokens": 512},
    "dpo r8, 512": {"rank": 8, "loss": "dpo", "batch_size": 4},
    "kto r8, 512": {"rank": 8, "loss": "kto", "batch_size": 4},
    "grpo r8, 512": {"rank": 8, "policy": "grpo", "batch_size": 4},
    "contrastive, 2048": {"micro_tokens": 2048, "learning_rate": 3e-5, "max_length": 256},
}  # fmt: skip


def rows_of(name: str) -> tuple[list, list]:
    """Training and dev rows: a question below part of its note."""
    import csv

    from rung.core.model import Message, Request
    from rung.training.rows import TrainingRow

    home = ROOT / "examples" / "tenants-desk"
    with (home / "questions.csv").open(encoding="utf-8", newline="") as file:
        asked = list(csv.DictReader(file))
    notes = {path.stem: path.read_text("utf-8").split() for path in (home / "documents").iterdir()}
    topics = tuple(sorted({row["topic"] for row in asked}))
    words = SHORT if "short" in name else LONG
    found = []
    for number, row in enumerate(asked[: ROWS + DEV]):
        note = next((text for stem, text in notes.items() if stem in row["document"]), [])
        text = " ".join([*note[: words + number % 9], row["question"]])
        choices = topics if "labels" in name else ()
        request = Request((Message("user", text),), choices=choices, max_tokens=8, query=row["question"])
        rejected = (asked[number - 1]["answer"],) if name.split()[0] in ("dpo", "kto") else ()
        found.append(TrainingRow(row["id"], request, row["topic"] if choices else row["answer"], rejected))
    return found[:ROWS], found[ROWS:]


def measure(name: str) -> tuple[float, float]:
    """Planned and measured peak of one setting, in GiB."""
    from rung.core.candidate import Candidate, OutputSlot, PromptSlot
    from rung.core.task import OutputSpec, Task
    from rung.models.transformers_local import TransformersModel
    from rung.training.runner import train
    from rung.training.settings import TrainSettings
    from rung.training.work import Job

    if name.startswith("contrastive"):
        return measure_encoder(name)
    rows, dev = rows_of(name)
    choices = rows[0].request.choices
    task = Task(
        name="memory",
        instruction="Answer.",
        inputs=("question",),
        output=OutputSpec(kind="label" if choices else "text", labels=choices),
        metrics=("accuracy",) if choices else ("token_f1",),
    )
    slot = PromptSlot(instruction="Answer.", fields=("question",))
    output = OutputSlot(choices=choices, constrain=bool(choices), max_tokens=8)
    candidate = Candidate(method="fine_tune", model=TransformersModel().ref, prompt=slot, output=output)
    settings = TrainSettings(
        **{"batch_size": 8, "max_steps": STEPS, "epochs": 9, "patience": 0, "evaluations": 2, **GRID[name]}
    )
    with tempfile.TemporaryDirectory() as folder:
        job = Job(candidate.model, candidate, task, settings, KINDS.get(name.split()[0], "targets"))
        facts = train(Path(folder), job, rows, dev).result.facts
    say(f"    {facts['memory_plan']}")
    return facts["memory_plan"]["peak"], facts["peak_memory_gib"]


def measure_encoder(name: str) -> tuple[float, float]:
    """The same of a sentence encoder that learns which note belongs to a question."""
    from rung.core.answer import create_encoder
    from rung.training.contrastive import contrast_settings
    from rung.training.encoder_job import EncoderJob, tune_encoder
    from rung.training.pairs import DevSet, Negative, Pair, Query

    rows, dev = rows_of(name)
    notes = [row.request.messages[0].text for row in rows]
    pairs = [
        Pair(row.id, row.request.query, note, (Negative(other),))
        for row, note, other in zip(rows, notes, notes[1:] + notes[:1], strict=True)
    ]
    texts = tuple((row.id, row.request.messages[0].text) for row in dev)
    asked = DevSet(tuple(Query(row.request.query, (row.id,)) for row in dev), texts)
    settings, contrast = contrast_settings({"batch_size": 16, "max_steps": STEPS, "evaluations": 2, **GRID[name]})
    with tempfile.TemporaryDirectory() as folder:
        job = EncoderJob("minilm", create_encoder("minilm").id, settings, contrast)
        facts = tune_encoder(Path(folder), job, pairs, asked).result.facts
    say(f"    {facts['memory_plan']}")
    return facts["memory_plan"]["peak"], facts["peak_memory_gib"]


def kept() -> dict[str, dict]:
    """What was measured before, of settings that the grid still has."""
    path = RESULTS / "memory.json"
    found = json.loads(path.read_text("utf-8"))["settings"] if path.is_file() else {}
    return {name: found[name] for name in GRID if name in found}


def main() -> None:
    there = [name for name in GRID if not name.startswith("qlora") or find_spec("bitsandbytes")]
    for name in sys.argv[1:] or there:
        planned, measured = measure(name)
        say(f"{name:<32} planned {planned:.2f}, measured {measured:.2f} GiB: {planned / measured - 1:+.0%}")
        table = kept() | {name: {"planned_gib": round(planned, 3), "measured_gib": measured}}
        off = [abs(each["planned_gib"] / each["measured_gib"] - 1) for each in table.values()]
        finish(
            "memory",
            len(off),
            within=round(sum(each <= WITHIN for each in off) / len(off), 3),
            worst=round(max(off), 3),
            settings=table,
        )


if __name__ == "__main__":
    main()
