"""The extractive baseline, no language model: the nearest example's answer, or the best sentence of the passages."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from rung.core.answer import create_encoder
from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError
from rung.core.model import Capabilities, Completion, Encoder, Failure, ModelRef, Request
from rung.core.task import Passage
from rung.models.encoder_local import reopen_encoder
from rung.text.sentences import LIST_MARK, sentences
from rung.text.tokens import search_tokens

Mode = Literal["nearest_answer", "best_sentence"]
MODES = ("nearest_answer", "best_sentence")
_MARK = re.compile(rf"\A(?:{LIST_MARK}|#{{1,6}}\s)\s*")


class ExtractiveModel:
    """Answers with words that somebody else has written; it reads `Request.query`, `shots` and `passages`.

    'nearest_answer': the answer of the last shot, which is the nearest. 'best_sentence': the sentence of the shown
    passages that matches the query best, by the encoder's cosine, or by shared terms without an encoder. Without shots
    or sentences the answer is a failure of kind `empty`.

    `encoder`: its registry name; pass `loaded` to share one already loaded. Raises BackendError E3220 for an unknown
    mode.
    """

    def __init__(self, mode: Mode = "nearest_answer", *, encoder: str = "", loaded: Encoder | None = None) -> None:
        if mode not in MODES:
            raise BackendError("E3220", mode=mode, known=", ".join(MODES))
        if encoder and loaded is None:
            loaded = create_encoder(encoder)
        options = {"mode": mode} | ({"encoder": encoder, "encoder_id": loaded.id} if loaded else {})
        self.ref = ModelRef(kind="extractive", id=f"extractive-{mode}", engine="rung", options=options)
        self.capabilities = Capabilities(language_model=False)
        self._encoder = loaded
        self._answers = _nearest if mode == "nearest_answer" else self._best

    @classmethod
    def open(
        cls,
        ref: ModelRef,
        *,
        adapter: AdapterSlot | None = None,
        folder: Path | None = None,
        encoder: Encoder | None = None,
    ) -> ExtractiveModel:
        """Rebuild from a record. Pass `encoder` to share one already loaded; it must be the recorded one.

        Raises BackendError E3206 when the encoder has changed, E3212 for an adapter, E3220 for an unknown mode.
        """
        if adapter is not None:
            raise BackendError("E3212", kind=ref.kind)
        mode, name = ref.options.get("mode", ""), ref.options.get("encoder", "")
        loaded = reopen_encoder(name, ref.options["encoder_id"], encoder) if name else None
        return cls(mode, encoder=name, loaded=loaded)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One answer a request, in order; `seconds` is an equal share of the time all took."""
        started = time.perf_counter()
        texts = self._answers(requests)
        share = (time.perf_counter() - started) / max(1, len(texts))
        failure = Failure("empty", "nothing to answer from")
        return [
            Completion(
                text=text,
                failure=None if text else failure,
                finish="stop" if text else "error",
                seconds=share,
                served_by=self.ref.id,
            )
            for text in texts
        ]

    def _best(self, requests: Sequence[Request]) -> list[str]:
        queries = [request.query for request in requests]
        shown = [[text for passage in request.passages for text in _sentences(passage)] for request in requests]
        if self._encoder is None:
            return [_best_by_terms(query, texts) for query, texts in zip(queries, shown, strict=True)]
        return _best_by_cosine(queries, shown, self._encoder)


def _nearest(requests: Sequence[Request]) -> list[str]:
    return [next(iter(request.shots[-1].references), "") if request.shots else "" for request in requests]


def _sentences(passage: Passage) -> list[str]:
    """The sentences of a passage, without the title and headings above it, and without list marks."""
    length = passage.end - passage.start
    body = passage.text[-length:] if 0 < length < len(passage.text) else passage.text
    return [text for span in sentences(body) if (text := _MARK.sub("", span.of(body), count=1))]


def _best_by_terms(query: str, texts: Sequence[str]) -> str:
    """The text whose terms shared with the query weigh most; a term that few of the texts hold weighs more."""
    terms = [set(search_tokens(text)) for text in texts]
    holders = Counter(term for found in terms for term in found)
    asked = set(search_tokens(query))
    scores = [sum(math.log(1 + len(texts) / holders[term]) for term in sorted(asked & found)) for found in terms]
    return _first_best(texts, scores)


def _best_by_cosine(queries: Sequence[str], shown: Sequence[Sequence[str]], encoder: Encoder) -> list[str]:
    distinct = {text: None for texts in shown for text in texts} | dict.fromkeys(queries)
    vectors = dict(zip(distinct, encoder.encode(list(distinct)), strict=True))
    return [
        # The last digits depend on the batch, and must not decide.
        _first_best(texts, [round(float(vectors[text] @ vectors[query]), 6) for text in texts])
        for query, texts in zip(queries, shown, strict=True)
    ]


def _first_best(texts: Sequence[str], scores: Sequence[float]) -> str:
    return texts[int(np.argmax(scores))] if texts else ""
