"""Drift beside a running server's own numbers: looked at now and then by a process of its own, so that no answer waits for it."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)
_FIRST = 60.0
"""Seconds after which the first look is taken at the latest: a server that has just begun has better things to do."""
_LONGEST = 1800.0
_GENTLE = 15
"""How far behind the server's own work it stands for the processor."""

Look = Callable[[threading.Event], str]


class Lookout:
    """A thread that looks every so many seconds. `look(stopped)` gives the metrics' text; what goes wrong leaves the last one.

    `keep` is called with every new text.
    """

    def __init__(self, look: Look, every: float, *, keep: Callable[[str], object] = lambda text: None) -> None:
        self.text = ""
        """Of the last look that went well; '' before the first."""
        self.trouble = ""
        """Why the last look went wrong; '' where it did not."""
        self._look, self._every, self._keep = look, every, keep
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rung-lookout", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause = min(self._every, _FIRST)
        while not self._stopped.wait(pause):
            pause = self._every
            try:
                text = self._look(self._stopped)
                self._keep(text)
            except Exception as error:
                if not self._stopped.is_set() and str(error) != self.trouble:
                    _log.warning("the traffic could not be looked at for drift: %s", error)
                self.trouble = str(error)
            else:
                self.text, self.trouble = text, ""

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(10)


def look_aside(run: Path, state: Path | None) -> Look:
    """`rung monitor` in a process of its own, behind all others; as Prometheus metrics."""

    def look(stopped: threading.Event) -> str:
        from rung.monitoring.gauges import drift_gauges
        from rung.store.watch import Watch

        folder = ["--state", str(state)] if state is not None else []
        found = _said(["monitor", str(run), "--json", *folder], stopped)
        return "".join(f"{line}\n" for line in drift_gauges(Watch.model_validate_json(found)))

    return look


def _said(arguments: list[str], stopped: threading.Event) -> bytes:
    """What a command prints. Raises RuntimeError with its last word where it fails, and where it takes too long."""
    child = subprocess.Popen(
        [sys.executable, "-c", "from rung.cli.main import main; main()", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
        start_new_session=True,
    )
    with child:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, child.pid, _GENTLE)
        waited = 0.0
        while True:
            try:
                out, err = child.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                waited += 0.5
                if stopped.is_set() or waited > _LONGEST:
                    child.kill()
    if child.returncode:
        said = err.decode("utf-8", "replace").strip().splitlines()
        raise RuntimeError(said[0] if said else f"it ended with {child.returncode}")
    return out
