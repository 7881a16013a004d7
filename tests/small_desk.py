"""A corner of the tenants' desk, for tests on the real model."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def small_project(folder: Path, task: str, documents: int = 3) -> Path:
    """A corner of the tenants' desk: a few notes and the questions they answer."""
    source = EXAMPLES / "tenants-desk"
    notes = sorted((source / "documents").glob("*.md"))[:: 33 // documents][:documents]
    (folder / "documents").mkdir(parents=True)
    for note in notes:
        shutil.copy(note, folder / "documents")
    names = {note.name for note in notes}
    with (source / "questions.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["document"] in names]
    with (folder / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    path = folder / "task.yaml"
    path.write_text(task, "utf-8")
    return path
