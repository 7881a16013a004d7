"""The record of a quality check: what `rung data check` found, as quality.json keeps it and the page shows it."""

from __future__ import annotations

from typing import Any, Literal

from rung.core.task import Frozen, Language, OutputKind

Level = Literal["info", "warning", "error"]
ReasonKind = Literal["label", "conflict", "answer", "duplicate", "length", "outlier", "personal"]


class Estimate(Frozen):
    """A figure worked out from some rows for all rows like them; None where it cannot be."""

    point: float | None
    low: float | None = None
    high: float | None = None
    """Ends of the 95 % interval."""
    n: int
    """Rows that it is worked out from."""


class Note(Frozen):
    """A finding; its text is a code of the message catalogue."""

    level: Level
    code: str
    values: dict[str, Any] = {}


class Reason(Frozen):
    """Why a row should be looked at. Its text is `quality.why_<kind>`, or `quality.why_answer_<fault>`."""

    kind: ReasonKind
    weight: float
    """0 to 1: how strongly this alone says that something is wrong."""
    values: dict[str, Any] = {}


class Look(Frozen):
    """A row that should be looked at."""

    id: str
    split: str
    text: str
    """What is asked; personal data in it are unreadable."""
    answer: str
    suggested: str = ""
    """The label that the other rows speak for; '' where nothing is suggested. Never applied by Rung."""
    weight: float
    """1 minus the product of (1 - weight) over its reasons."""
    reasons: tuple[Reason, ...]


class Confusion(Frozen):
    """Rows that carry one label while the other rows speak for another."""

    given: str
    suggested: str
    n: int


class LabelErrors(Frozen):
    """Confident learning over out-of-fold predictions of train and dev."""

    judged: int
    unjudged: int
    """Rows of labels that are too rare to be judged."""
    head: Estimate
    """Share of judged rows whose label the head predicts without having seen them."""
    wrong: Estimate
    """Share of labels that are probably wrong. The interval says what chance adds, not what the head gets wrong."""
    suspected: int
    confusions: tuple[Confusion, ...] = ()
    """The commonest first."""
    test_judged: int = 0
    test_suspected: int = 0
    """Test rows, judged by a head that saw none of them: counted and listed apart, and never among `rows`."""


class Conflict(Frozen):
    """Rows that ask the same and have no answer in common."""

    ids: tuple[str, ...]
    answers: tuple[str, ...]
    text: str
    near: bool
    """Whether their texts are near copies only."""


class Agreement(Frozen):
    """How far annotators agree beyond chance."""

    kind: Literal["cohen", "fleiss", "krippendorff"]
    kappa: Estimate
    agreement: float | None
    """Share of pairs of judgements of one row that are the same."""
    annotators: tuple[str, ...]


class Fault(Frozen):
    """Answers that look wrong in one way."""

    kind: Literal["empty", "copied", "refusal", "truncated", "language", "unsupported", "json"]
    n: int
    of: int
    """Answers that were looked at for it."""
    ids: tuple[str, ...] = ()
    """The first of them."""


class Topic(Frozen):
    """One cluster of questions."""

    number: int
    words: tuple[str, ...]
    """What its questions say more than others, the strongest first."""
    n: int
    share: float
    example: str
    """The question nearest to its middle."""
    answers: tuple[str, ...] = ()
    """Its commonest labels."""


class Dot(Frozen):
    """A question on the map of topics."""

    x: float
    y: float
    topic: int


class Topics(Frozen):
    topics: tuple[Topic, ...]
    silhouette: float
    """Mean silhouette of a sample, -1 to 1: near 0 the topics run into each other."""
    method: str
    """How the map is made: 'tsne' or 'pca'."""
    map: tuple[Dot, ...]
    n: int


class Vocabulary(Frozen):
    """Words of the questions; single characters of Chinese."""

    words: int
    different: int
    ratio: float
    """Different words for each word; it falls with the size of any data set."""
    even_ratio: Estimate
    """The same within runs of `window` words: this one can be compared between data sets."""
    window: int
    once: float
    """Share of the different words that occur once only."""


class Bin(Frozen):
    """One bar of a histogram: low <= length < high."""

    low: float
    high: float
    n: int


class Lengths(Frozen):
    """Lengths of questions or answers in characters."""

    n: int
    median: float
    p05: float
    p95: float
    longest: int
    bins: tuple[Bin, ...]


class Copies(Frozen):
    """Questions that another row asks too."""

    n: int
    exact: int
    """Rows whose question stands, but for marks, case and width, in an earlier row."""
    near: int
    """Rows that are near copies of an earlier row and no exact ones."""
    across: int
    """Of these, rows whose earlier row lies in another split."""


class Coverage(Frozen):
    """Which documents the questions reach."""

    documents: int
    reached: int
    """Documents that some question names or lies nearest to."""
    sections: int
    sections_reached: int
    named: bool
    """Whether questions name their documents; otherwise words in common decide."""
    missed: tuple[str, ...] = ()
    """Ids of the first documents that no question reaches."""


class Diversity(Frozen):
    vocabulary: Vocabulary | None = None
    questions: Lengths | None = None
    answers: Lengths | None = None
    copies: Copies
    topics: Topics | None = None
    coverage: Coverage | None = None


class LabelCount(Frozen):
    label: str
    n: int
    """Rows of train and dev."""
    test: int = 0
    suspected: int = 0


class CurvePoint(Frozen):
    """What the head scores after so many training rows."""

    rows: int
    score: Estimate
    lowest: float
    highest: float
    """Of the repeated draws."""


class Curve(Frozen):
    """The head's accuracy on rows that it has not seen, by the number of training rows."""

    points: tuple[CurvePoint, ...]
    doubled: Estimate
    """Extrapolated to twice the last number of rows."""
    gain: Estimate
    """What the doubling is expected to bring."""
    seeds: int


class Volume(Frozen):
    labels: tuple[LabelCount, ...] = ()
    below: dict[str, int] = {}
    """Labels with fewer than 5, 16 and 50 rows."""
    curve: Curve | None = None


class Personal(Frozen):
    """Personal data in rows; no field holds a value that was found."""

    rows: int
    kinds: dict[str, int]
    """Findings by kind, the commonest first."""


class Skipped(Frozen):
    """A measure that says nothing here; its reason is a code of the message catalogue."""

    measure: str
    code: str
    values: dict[str, Any] = {}


class Quality(Frozen):
    """The whole check."""

    schema_version: int = 1
    name: str
    kind: OutputKind
    language: Language
    n: int
    splits: dict[str, int]
    rejected: int = 0
    """Rows that could not be read."""
    vectors: str
    """Where sentence vectors come from: an encoder's id, or 'tfidf'."""
    findings: tuple[Note, ...] = ()
    labels: LabelErrors | None = None
    conflicts: int = 0
    """Questions that stand more than once with answers that contradict each other."""
    near_conflicts: int = 0
    """Pairs of nearly the same question with such answers; the difference may be what decides."""
    conflict_list: tuple[Conflict, ...] = ()
    """The first of them."""
    agreement: Agreement | None = None
    faults: tuple[Fault, ...] = ()
    personal: Personal
    diversity: Diversity
    volume: Volume
    rows: tuple[Look, ...] = ()
    """The first rows to look at; rows.jsonl has all."""
    to_look_at: int = 0
    test_to_look_at: int = 0
    """Rows of test-rows.jsonl."""
    skipped: tuple[Skipped, ...] = ()
    seconds: dict[str, float] = {}
    """What each part took."""
