"""Handing freed memory back to the system, so that a training process beside this one finds room."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys


def return_memory() -> None:
    """Collect garbage, and ask the C library to give back the pages it keeps; a no-op where it has no such call."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
