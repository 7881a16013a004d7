"""Instructions put together by rule: who answers, in what form, and one thing to mind, in English and Chinese."""

from __future__ import annotations

from itertools import product

from rung.core.task import OutputKind

_ROLES = ("", "role_close", "role_practised")
_FORMS: dict[OutputKind, tuple[str, ...]] = {
    "label": ("", "only_label", "exact_label"),
    "text": ("", "short", "phrase"),
    "json": ("", "valid_json"),
}
_RULES: dict[OutputKind, tuple[str, ...]] = {
    "label": ("", "rule_purpose", "rule_specific"),
    "text": ("", "rule_fact", "rule_once"),
    "json": ("", "rule_fact", "rule_once"),
}


def phrasings(kind: OutputKind) -> tuple[str, ...]:
    """Names for `prompt_slot`, 18 and more: the plain instruction first, then those with one sentence, two, and three."""
    combined = product(_RULES[kind], _ROLES, _FORMS[kind])
    named = [[name for name in (role, form, rule) if name] for rule, role, form in combined]
    return tuple("+".join(names) or "plain" for names in sorted(named, key=len))
