"""The piece of a document that a row is about, for an annotator to read beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rung.core.task import Document
from rung.data.record import Record
from rung.retrieval.chunk import chunk_documents
from rung.text.tokens import search_tokens

WORDS = 140
_PLACE = re.compile(r"(.+)#(\d+)-(\d+)")


def passage_finder(documents: Sequence[Document]) -> Callable[[Record], str]:
    """From a row to the passage to show with it; '' where none is known.

    The place that `source` names, as 'document#start-end'; else, of the documents that are marked as holding the answer, the
    passage that shares most terms with the question.
    """
    by_id = {document.id: document for document in documents}

    def find(record: Record) -> str:
        place = _PLACE.fullmatch(record.source)
        if place and place[1] in by_id:
            return by_id[place[1]].text[int(place[2]) : int(place[3])]
        named = [by_id[id] for id in record.documents if id in by_id]
        if not named:
            return ""
        terms = set(search_tokens(f"{record.question} {record.answer}"))
        passages = chunk_documents(named, WORDS, 0)
        return max(passages, key=lambda item: len(terms & set(search_tokens(item.text)))).text if passages else ""

    return find
