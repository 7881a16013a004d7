"""What every benchmark shares: where data lie, the one JSON line at the end, and where results are kept."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import json
import os
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATASETS = ROOT.parent / "shared" / "datasets"
RESULTS = Path(__file__).with_name("results")
PACKAGES = ("rung", "torch", "transformers", "peft", "trl", "trafilatura", "lm_eval", "scikit-learn", "numpy")


def say(text: str) -> None:
    """Progress: to stderr."""
    print(text, file=sys.stderr, flush=True)


def need_datasets(*names: str) -> Path:
    """The folder of real data sets; ends the benchmark with a reason where they are absent."""
    for name in names:
        if not (DATASETS / name).is_dir():
            say(f"skipped: the data set {name} is not beside this checkout")
            raise SystemExit(0)
    return DATASETS


def work_folder(name: str) -> Path:
    """Where a long benchmark keeps its run, to resume a killed one; other code starts anew, so no figure is older than it."""
    code = hashlib.sha256()
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix in {".py", ".json"}:
            code.update(path.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"rung-bench-{name}-{code.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file, plain or gzipped, as it lies there or with .gz behind its name."""
    path = path if path.is_file() else path.with_name(path.name + ".gz")
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file.read().split("\n") if line]


def finish(name: str, n: Any, *, command: str = "", **figures: Any) -> None:
    """Keep the result, and print it as the last line of stdout. `command`: what prints it, where that is not `make bench-<name>`."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    result = {
        "name": name,
        **figures,
        "n": n,
        "versions": versions,
        "cores": os.cpu_count(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": command or f"make bench-{name}",
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print(json.dumps(result, ensure_ascii=False))


def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
