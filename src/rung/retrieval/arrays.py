"""Named arrays in one file, read without loading them: the layout of safetensors, written and mapped array by array."""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_NAMES = {
    "bool": "BOOL",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "int32": "I32",
    "int64": "I64",
    "float32": "F32",
}
_TYPES = {name: np.dtype(kind) for kind, name in _NAMES.items()}
_ALIGN = 64
Arrays = dict[str, NDArray[Any]]


def write_arrays(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays into an open file, the widest first, so that each lies where its type wants it."""
    ordered = sorted(arrays.items(), key=lambda pair: (-pair[1].dtype.itemsize, pair[0]))
    header: dict[str, Any] = {}
    at = 0
    for name, array in ordered:
        header[name] = {
            "dtype": _NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % _ALIGN)
    file.write(struct.pack("<Q", len(text)) + text)
    for _, array in ordered:
        if array.size:
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def map_arrays(path: Path) -> Arrays:
    """The arrays of a file, read-only and mapped: the system reads what is looked at. They outlive the file's removal."""
    with path.open("rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    (length,) = struct.unpack_from("<Q", view)
    found: Arrays = {}
    for name, about in json.loads(view[8 : 8 + length]).items():
        start, end = about["data_offsets"]
        kind = _TYPES[about["dtype"]]
        count = (end - start) // kind.itemsize
        # Of an empty stretch at the end of the file there is no buffer.
        flat = np.frombuffer(view, kind, count, 8 + length + start) if count else np.zeros(0, kind)
        found[name] = flat.reshape(about["shape"])
    return found
