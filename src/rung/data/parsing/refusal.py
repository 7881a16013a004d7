"""Why a file cannot be read as a document: an exception with a code of the message catalogue, E2320-E2329."""

from __future__ import annotations

from typing import Any


class Unreadable(Exception):
    """Nothing of the file can be used.

    E2320 locked with a password, E2321 damaged, E2322 empty, E2323 a kind that is not read, E2324 nested too deeply,
    E2325 pictures of pages without text, E2326 XML that declares entities, E2327 unpacks to too much, E2328 an encoding
    that cannot be told, E2329 no text.
    """

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code, values)
        self.code, self.values = code, values

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.code, self.values)


def _again(code: str, values: dict[str, Any]) -> Unreadable:
    """For a refusal that comes out of another process."""
    return Unreadable(code, **values)
