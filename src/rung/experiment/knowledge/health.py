"""The health of a set of documents: what is unread, repeated, out of date, odd, cut badly, or never retrieved."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rung.core.answer import Item
from rung.core.task import Document
from rung.data.documents import DocumentsResult
from rung.data.parsing.hidden import find_orders
from rung.experiment.knowledge.editions import find_replaced
from rung.metrics.grounding import document_of
from rung.retrieval.chunk import chunk_documents
from rung.store.knowledge import Health, Hub, Odd, Unread, Use, Writing
from rung.text.script import writing_of
from rung.text.sentences import sentences

LONG = 200_000
"""Characters from which a document is long: about a hundred pages, most of which a reader would rather have apart."""
SHORT = 40
"""Letters below which a document says next to nothing."""
GARBLED = 0.05
"""Share of characters that are no text from which a document is garbled."""
CHUNK_WORDS = 120
"""How passages are cut where no run says."""
LISTED = 50
HUB_SHARE = 0.1
HUB_LEAST = 5
"""A passage is a hub where a tenth of the questions are shown it, and five at least."""
_HUBS = 10
_HIDDEN = {"E2333", "E2334"}
_GARBLED = {"E2332", "E2342"}


@dataclass(frozen=True)
class Retrieved:
    """The passages that one question was shown, over all candidates."""

    question: str
    passages: frozenset[str]
    documents: frozenset[str] = frozenset()
    """Those that hold its answer, where they are known."""


def health_of(
    found: DocumentsResult,
    *,
    source: str = "",
    chunk_words: int = CHUNK_WORDS,
    items: Iterable[Item] | None = None,
    retrieved: Sequence[Retrieved] | None = None,
) -> Health:
    """The state of a knowledge base. No model is asked.

    `items`: the passages of the index that answers come from; cut anew by `chunk_words` when absent. `retrieved`: what the questions
    of a run were shown; without it nothing is said of what is never retrieved.
    """
    documents = found.documents
    replaced = find_replaced(documents)
    passages = chunk_documents(documents, chunk_words, chunk_words // 6) if items is None else items
    cuts = _Cuts(documents)
    n = cut = 0
    for item in passages:
        n += 1
        cut += cuts.is_cut(item)
    return Health(
        source=source,
        files=found.total,
        documents=len(documents),
        characters=sum(len(document.text) for document in documents),
        passages=n,
        chunk_words=chunk_words,
        same_files=len(found.copies),
        unread=tuple(Unread(document=f.id, code=f.code, values=_plain(f.values)) for f in found.failed),
        copies=replaced.copies,
        near=replaced.near,
        stale=replaced.stale,
        odd=tuple(_odd(found)),
        cut=cut,
        writings=tuple(_writings(documents)),
        use=None if retrieved is None else _use(documents, retrieved),
    )


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in values.items()}


def _odd(found: DocumentsResult) -> Iterator[Odd]:
    """What retrieval can do little with, and what should not be there; kind by kind, the worst first."""
    odd: list[Odd] = []
    for document in found.documents:
        text = document.text
        letters = sum(char.isalnum() for char in text)
        lost = sum(char == "\ufffd" or "\ue000" <= char <= "\uf8ff" for char in text)
        remarks = {remark.code: remark.values for remark in found.remarks.get(document.id, ())}
        if len(text) >= LONG:
            odd.append(Odd(document=document.id, kind="long", value=len(text)))
        if letters < SHORT:
            odd.append(Odd(document=document.id, kind="short", value=letters))
        if lost >= max(1, GARBLED * len(text)) or remarks.keys() & _GARBLED:
            odd.append(Odd(document=document.id, kind="garbled", value=lost / max(1, len(text))))
        if hidden := sum(int(remarks[code]["count"]) for code in _HIDDEN & remarks.keys()):
            odd.append(Odd(document=document.id, kind="hidden", value=hidden))
        if orders := [*find_orders(text), *find_orders(document.title)]:
            odd.append(Odd(document=document.id, kind="orders", value=len(orders), example=orders[0]))
    order = ("orders", "hidden", "garbled", "short", "long")
    yield from sorted(odd, key=lambda one: (order.index(one.kind), -one.value if one.kind != "short" else one.value))


class _Cuts:
    """Where the sentences of documents begin and end."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = {document.id: document for document in documents}
        self._ends: dict[str, list[int]] = {}
        self._last = ""

    def is_cut(self, item: Item) -> bool:
        """Whether a passage begins or ends within a sentence; of a text that is not at hand, nothing is said."""
        document = self._documents.get(item.payload["document"])
        if document is None:
            return False
        if document.id != self._last:
            # Passages come document by document: one text's sentences are held at a time.
            self._ends = {document.id: [span.end for span in sentences(document.text)]}
            self._last = document.id
        ends, text = self._ends[document.id], document.text
        start, end = int(item.payload["start"]), int(item.payload["end"])
        return not (_at_edge(text, ends, end) and _at_edge(text, ends, len(text[:start].rstrip())))


def _at_edge(text: str, ends: Sequence[int], place: int) -> bool:
    """Whether a sentence, or a line, ends here."""
    if place <= 0 or place >= len(text.rstrip()):
        return True
    at = bisect_left(ends, place)
    return (at < len(ends) and ends[at] == place) or "\n" in text[place : place + 2]


def _writings(documents: Sequence[Document]) -> list[Writing]:
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for document in documents:
        language = writing_of(document.text)
        counts[language] += 1
        sizes[language] += len(document.text)
    return [Writing(language=name, documents=n, characters=sizes[name]) for name, n in counts.most_common()]


def _use(documents: Sequence[Document], retrieved: Sequence[Retrieved]) -> Use:
    shown = Counter(passage for one in retrieved for passage in one.passages)
    needed = Counter(p for one in retrieved for p in one.passages if document_of(p) in one.documents)
    met = {document_of(passage) for passage in shown}
    unused = [document.id for document in documents if document.id not in met]
    wanted = sorted({id for one in retrieved for id in one.documents} & set(unused))
    least = max(HUB_LEAST, round(HUB_SHARE * len(retrieved)))
    hubs = [
        Hub(passage=passage, questions=n, needed=needed[passage])
        for passage, n in shown.most_common(_HUBS)
        if n >= least
    ]
    return Use(
        questions=len(retrieved),
        slots=sum(len(one.passages) for one in retrieved),
        unused=len(unused),
        listed=tuple(unused[:LISTED]),
        wanted=tuple(wanted[:LISTED]),
        hubs=tuple(hubs),
        hub_from=least,
    )
