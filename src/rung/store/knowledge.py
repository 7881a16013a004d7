"""The records of what a run's documents can give: the ceilings of retrieval and reading, and the documents' health."""

from __future__ import annotations

from typing import Any, Literal

from rung.core.task import Frozen
from rung.store.records import Interval, Spend

SCHEMA = 1
Basis = Literal["marked", "quoted"]
"""marked: the examples name their documents. quoted: no example does, and the passages that hold the answer word for word are taken."""
Stage = Literal["not_found", "not_shown", "shown"]


class Recall(Frozen):
    """The share of questions that have what they need among the first k passages of the index, 95 %, by groups."""

    k: int
    document: Interval
    """A passage of one of their documents."""
    passage: Interval = Interval(point=None)
    """A passage that holds the answer word for word, among the questions that have one."""


class PathStep(Frozen):
    """Questions by how far their document came, and what became of the answer. The counts of all steps add up to `n`."""

    stage: Stage
    """not_found: not among the first passages looked at. not_shown: among them, but beyond those shown. shown: in the prompt."""
    right: int
    wrong: int
    unscored: int = 0
    """Questions whose answer could not be scored, such as those without a reference."""

    @property
    def n(self) -> int:
        return self.right + self.wrong + self.unscored


class Missed(Frozen):
    """A question whose document was not shown, or was shown and not read."""

    id: str
    question: str
    documents: tuple[str, ...]
    """Those that hold the answer."""
    rank: int | None
    """Place of their first passage in the index's list; None where it is not among those looked at."""
    instead: str = ""
    """The passage that was found first; empty where nothing was."""
    text: str = ""
    """How that passage begins."""
    answer: str = ""
    references: tuple[str, ...] = ()


class SplitShown(Frozen):
    """Questions of one split whose document was among the recorded passages."""

    split: str
    n: int
    shown: int
    share: Interval
    """shown / n, 95 %, by groups."""
    path: tuple[PathStep, ...] = ()
    """On test: shown or not, as recorded; nothing is searched anew."""


class GoldReading(Frozen):
    """The same questions with the right passage in the prompt, and as the candidate answered them."""

    n: int
    failed: int = 0
    """Questions without an answer on either side, counted apart."""
    given: Interval
    """Score with the right passage shown, 95 %, by groups: what reading alone reaches."""
    own: Interval
    """Score with the passages that were retrieved."""
    gain: Interval
    """given - own, paired."""


class CandidateCeilings(Frozen):
    """How far one candidate's answers get: found, shown, read."""

    candidate: str
    method: str
    model: str
    index: str
    k: int
    """Passages that it shows."""
    n: int
    """Dev questions whose documents are known."""
    passages: int
    """Of these, questions whose answer stands word for word in a passage of their documents."""
    recall: tuple[Recall, ...]
    path: tuple[PathStep, ...]
    """Of the questions of `n` that have an answer on dev."""
    missed: tuple[Missed, ...] = ()
    """The worst questions, document found nowhere first."""
    read_wrong: tuple[Missed, ...] = ()
    """Questions whose document was shown, and which were answered wrongly."""
    splits: tuple[SplitShown, ...] = ()
    reading: GoldReading | None = None
    """None where it was not measured: no time was left, or too few questions have a passage."""


class Ceilings(Frozen):
    """Retrieval and reading told apart. Kept as `ceilings.json`."""

    schema_version: int = SCHEMA
    metric: str
    right_at: float
    """A score counts as right from here on."""
    basis: Basis
    depth: int
    """Passages that were looked at for each question."""
    questions: int
    """Dev questions."""
    unknown: int
    """Of these, questions whose documents are not known; they are left out."""
    candidates: tuple[CandidateCeilings, ...]
    spent: Spend = Spend()


class Copies(Frozen):
    """Documents that say the same, or nearly."""

    n: int
    documents: tuple[str, ...]
    """The first of them."""
    score: float
    """1: the same text. Else the least overlap of shingles (Jaccard) between two neighbours of the group."""


class Stale(Frozen):
    """A document that another one has most likely replaced, or that is much older than the rest."""

    document: str
    dated: str
    """A year or a date, as it stands."""
    newer: str
    """The document that replaces it; for one that is old, the newest of all."""
    newer_dated: str
    by: Literal["edition", "age"]
    """edition: nearly the same text with a later year, date or version. age: its date alone."""


class Odd(Frozen):
    """A document that retrieval can do little with."""

    document: str
    kind: Literal["long", "short", "garbled", "hidden", "orders"]
    value: float
    """long, short: characters. garbled: share of characters that are no text. hidden: pieces taken out. orders: phrases found."""
    example: str = ""


class Unread(Frozen):
    """A file that is not among the documents, and why: a code of the message catalogue."""

    document: str
    code: str
    values: dict[str, Any] = {}


class Hub(Frozen):
    """A passage that is shown for many questions."""

    passage: str
    questions: int
    needed: int
    """Of these, questions whose answer lies in its document."""


class Writing(Frozen):
    """The documents of one language, told by their script."""

    language: str
    documents: int
    characters: int


class Use(Frozen):
    """Which documents the recorded passages of a run come from."""

    questions: int
    """Questions of dev and test with recorded passages."""
    slots: int
    """Passages recorded for all of them by all candidates, each question's alike counted once: documents can be retrieved at most so often."""
    unused: int
    """Documents that no question retrieved."""
    listed: tuple[str, ...] = ()
    """The first of these."""
    wanted: tuple[str, ...] = ()
    """Documents that hold a question's answer, and that no question retrieved."""
    hubs: tuple[Hub, ...] = ()
    hub_from: int = 0
    """Questions from which a passage counts as a hub."""


class Health(Frozen):
    """The state of a knowledge base. Kept as `health.json`."""

    schema_version: int = SCHEMA
    source: str = ""
    files: int
    """documents + copies of files + unread ones."""
    documents: int
    characters: int
    passages: int
    chunk_words: int
    same_files: int = 0
    """Files with the same bytes as a document; they are read once."""
    unread: tuple[Unread, ...] = ()
    copies: tuple[Copies, ...] = ()
    near: tuple[Copies, ...] = ()
    stale: tuple[Stale, ...] = ()
    odd: tuple[Odd, ...] = ()
    cut: int = 0
    """Passages that begin or end within a sentence."""
    writings: tuple[Writing, ...] = ()
    use: Use | None = None
    """None without a run."""
