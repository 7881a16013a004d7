"""Search words that a language model writes: a dialogue made into one question, a question made into search words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from rung.core.finding import Helper
from rung.core.found import Effort, Wording
from rung.core.model import Completion, Message, Request
from rung.core.task import Example
from rung.text.steps import first_line, strip_marks
from rung.text.tokens import search_tokens

_MAX_TOKENS = 48
_HEADING = re.compile(
    r"^(?:the |important |search |names|terms|words|synonyms|and|,| )+:\s*|^(?:词语|搜索词|关键词)[:：]\s*",
    re.IGNORECASE,
)
_COMMA = re.compile(r"[,，、;；]|\s\d+\.\s")
_LONGEST = 400
"""Characters; what is longer is no question and no search words, but an answer."""


@cache
def _texts() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("rewriting.json").read_text("utf-8"))
    return found


class Condensed:
    """A dialogue's last question made to stand alone. A question without a dialogue is searched as asked, at no cost."""

    asks_model = True

    def make(self, examples: Sequence[Example], helper: Helper) -> list[Wording]:
        texts = _texts()[helper.language]
        wanted = [example for example in examples if example.history]
        prompts = [texts["condensed"].replace("{dialogue}", _dialogue(example, texts)) for example in wanted]
        made = iter(_written(prompts, wanted, helper))
        return [next(made) if example.history else Wording((example.asked,)) for example in examples]


class Rewritten:
    """Search words for all that the user has said."""

    asks_model = True

    def make(self, examples: Sequence[Example], helper: Helper) -> list[Wording]:
        text = _texts()[helper.language]["rewritten"]
        return _written([text.replace("{question}", example.asked) for example in examples], examples, helper, _terms)


class Both:
    """The question as asked, and search words for it."""

    asks_model = True

    def make(self, examples: Sequence[Example], helper: Helper) -> list[Wording]:
        made = Rewritten().make(examples, helper)
        return [
            replace(wording, texts=tuple(dict.fromkeys((example.asked, *wording.texts))))
            for example, wording in zip(examples, made, strict=True)
        ]


def _dialogue(example: Example, texts: dict[str, str]) -> str:
    said = [f"{texts[turn.role]}{turn.text}" for turn in example.history]
    return "\n".join([*said, f"{texts['user']}{example.text}"])


def _written(
    prompts: Sequence[str], examples: Sequence[Example], helper: Helper, tidy: Callable[[str], str] = str
) -> list[Wording]:
    requests = [Request((Message("user", text),), max_tokens=_MAX_TOKENS, query=text) for text in prompts]
    completions = helper.model.generate(requests) if requests else []
    return [_wording(done, example, tidy) for done, example in zip(completions, examples, strict=True)]


def _wording(done: Completion, example: Example, tidy: Callable[[str], str]) -> Wording:
    effort = Effort(done.tokens_in, done.tokens_out, done.seconds, done.money)
    if done.failure is not None:
        return Wording((example.asked,), effort, done.failure.kind)
    line = tidy(str(strip_marks(str(first_line(done.text)))))
    if len(line) > _LONGEST or not search_tokens(line):
        return Wording((example.asked,), effort, "empty")
    return Wording((line,), effort)


def _terms(line: str) -> str:
    """A list of terms without a heading that echoes the instruction, each term once: small models go round in circles."""
    terms: dict[str, str] = {}
    for term in _COMMA.split(_HEADING.sub("", line, count=1)):
        bare = term.strip(" .。")
        if bare:
            terms.setdefault(bare.casefold(), bare)
    return ", ".join(terms.values())
