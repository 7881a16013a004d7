"""A second ranking of passages by the candidate's own language model."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rung.core.finding import Helper, Judged
from rung.core.found import Effort
from rung.core.model import Completion, Message, Request

_ASKS = {
    "en": "{passage}\n\nWrite a question that this passage answers.",
    "zh": "{passage}\n\n请写出一个可以由上面这段资料回答的问题。",
}


class ModelReranker:
    """How likely the model finds the question once it has read the passage (Sachan et al. 2022, arXiv 2204.07496).

    The score is the likelihood of one character of the question, the geometric mean. A backend that cannot hold an answer to a
    choice scores every passage 0, which leaves the order as it was.
    """

    id = "model"
    asks_model = True

    def score(self, pairs: Sequence[tuple[str, str]], helper: Helper) -> Judged:
        text = _ASKS[helper.language]
        requests = [
            Request((Message("user", text.replace("{passage}", passage, 1)),), choices=(question,), query=passage)
            for question, passage in pairs
        ]
        done = helper.model.generate(requests) if requests else []
        scores = tuple(_likelihood(completion, question) for completion, (question, _) in zip(done, pairs, strict=True))
        efforts = tuple(Effort(one.tokens_in, one.tokens_out, one.seconds, one.money) for one in done)
        return Judged(scores, efforts)


def _likelihood(completion: Completion, question: str) -> float:
    if completion.failure is not None or not completion.choice_scores:
        return 0.0
    return math.exp(completion.choice_scores[0] / max(1, len(question)))
