"""Importing OpenVINO without its telemetry, which would tell Google Analytics of every import, from a forked process.

`openvino` falls back on a stub where the package openvino-telemetry cannot be imported, so it is made to look absent.
"""

from __future__ import annotations

import sys
from typing import Any

_TELEMETRY = "openvino_telemetry"


def openvino() -> Any:
    """The module `openvino`. Every import of it in Rung goes through here or `openvino_genai`."""
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type]
    import openvino

    return openvino


def openvino_genai() -> Any:
    """The module `openvino_genai`, which imports the other."""
    openvino()
    import openvino_genai

    return openvino_genai
