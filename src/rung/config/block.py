"""What every block of task.yaml is made of: strict, immutable, each field with a line in both languages."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rung.config.source import resolve

Free = Annotated[dict[str, Any], BeforeValidator(resolve)]
"""A mapping whose values have no declared type: numbers and booleans are read as YAML 1.2 reads them."""


def doc(en: str, zh: str, default: Any = ..., **limits: Any) -> Any:
    """A field with its line of documentation in both languages."""
    return Field(default, description=en, json_schema_extra={"zh": zh}, **limits)


def listed(value: Any) -> Any:
    """A single value where a list is asked for."""
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(listed)]


class Block(BaseModel):
    """Base of every block: immutable, unknown keys refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False, coerce_numbers_to_str=True
    )
