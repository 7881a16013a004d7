"""What `documents` of task.yaml names: files, or a knowledge base at one of its versions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_SHARED = "postgres:"
_VERSION = re.compile(r"(.+)@([1-9]\d{0,8})")


@dataclass(frozen=True, slots=True)
class NamedBase:
    """A knowledge base by where it lies: a folder, or `postgres:NAME`. `version` None: the current one."""

    where: str
    version: int | None = None


def named_base(written: str, folder: Path) -> NamedBase | None:
    """The base that is meant; None where files are. `folder`: where a relative path begins.

    A path that ends in `@3` may be a folder's own name: such a folder comes before a version.
    """
    versioned = _VERSION.fullmatch(written)
    tries = [NamedBase(written)] + ([NamedBase(versioned[1], int(versioned[2]))] if versioned else [])
    if written.startswith(_SHARED):
        return tries[-1]
    for named in tries:
        path = folder / Path(named.where).expanduser()
        if _is_base(path):
            return NamedBase(str(path), named.version)
    return None


def _is_base(path: Path) -> bool:
    # A data set has a CURRENT too, and no segments.
    return (path / "CURRENT").is_file() and (path / "segments").is_dir()
