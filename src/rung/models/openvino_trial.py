"""A process of its own in which OpenVINO reads a GGUF file for the first time, and writes the graph beside it.

A machine that the engine cannot run on kills this process, and not the one that asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rung.core.errors import BackendError
from rung.models.openvino_import import openvino_genai

GRAPH = "openvino_model.xml"


def try_file(path: Path, properties: dict[str, str]) -> None:
    """Raises BackendError E3072 where OpenVINO cannot read the file, or dies on it; `GRAPH` lies beside it otherwise."""
    command = [sys.executable, "-m", "rung.models.openvino_trial", str(path), json.dumps(properties)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode < 0:
        raise BackendError("E3072", path=path.name, reason=f"it died of signal {-done.returncode}")
    if done.returncode or not path.with_name(GRAPH).is_file():
        said = [line for line in (done.stdout + "\n" + done.stderr).split("\n") if line.strip()]
        raise BackendError("E3072", path=path.name, reason=said[-1][:300] if said else "it wrote no graph")


def main() -> None:
    genai, path, properties = openvino_genai(), sys.argv[1], json.loads(sys.argv[2])
    genai.ContinuousBatchingPipeline(path, genai.SchedulerConfig(), "CPU", {**properties, "enable_save_ov_model": True})


if __name__ == "__main__":
    main()
