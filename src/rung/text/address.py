"""Addresses on the network where a path is asked for."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def is_address(written: str) -> bool:
    """Whether this is an address such as https://example.org/handbook or file:///x, also as a path writes it: https:/example.org."""
    return bool(_ADDRESS.match(written))
