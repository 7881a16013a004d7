"""Feasibility before any money is spent: which rungs can be tried on this task, which first and why, and what is missing.

Evidence from the data outranks what people say; where the two differ, both are told. No model is asked about quality, so no
sentence here is a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from rung.config import Config, load_config, to_task
from rung.config.models import ModelConfig
from rung.config.questionnaire import Questionnaire
from rung.core.errors import BackendError, DataError, Problem, RungError, UsageError
from rung.core.model import Capabilities, Completion, Failure, Model, ModelRef, Request
from rung.core.task import Document, Example, FitData, Task
from rung.experiment.assessing.advice import ADVICE, Case, advise, conflicts_of, facts_of, missing_of, pilot, summary_of
from rung.experiment.assessing.evidence import PASSAGE_WORDS, Evidence, gather
from rung.experiment.costs import LOAD, MONTH_SECONDS, Demand, Priced, Prices, Upkeep, cost_record, prices_of
from rung.experiment.plan import is_trained, needs_model, open_model, planned_methods
from rung.experiment.sentences import plain, teller
from rung.experiment.setup import Prepared, prepare, read_spec, read_undealt
from rung.experiment.task_documents import by_kept_name, task_documents
from rung.experiment.wording import method_name
from rung.methods.estimate import seconds_per_question
from rung.methods.named import method_named
from rung.store.assessment import Assessment, Rung
from rung.store.costs import Costs
from rung.store.records import Spend, Text

TOO_FEW = frozenset({"E2130", "E2131", "E2132", "E2133"})
"""Data that cannot be split; there is still something to say about them."""
PROMPT_SECOND, ANSWER_SECOND = 0.003, 0.04
"""Seconds for a prompt token and a written one of the built-in model on two CPU cores: what is taken where nothing is timed."""
ENDPOINT_SECONDS = 1.0
BUILT_IN_GIB = 0.27
INSTRUCTION_TOKENS = 40.0
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Material:
    """The task and its rows, split where they can be."""

    config: Config
    task: Task
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...]
    documents: tuple[Document, ...]
    prepared: Prepared | None = None


@dataclass(frozen=True)
class Place:
    """A model of task.yaml as far as it can be known without asking it anything."""

    config: ModelConfig
    model: Model | None
    trouble: Text | None = None

    @property
    def outside(self) -> bool:
        """Whether questions would leave the company's machines, as far as an address can tell."""
        host = urlsplit(self.config.base_url or "").hostname
        return host is not None and host not in _LOCAL and not host.endswith((".local", ".internal", ".lan"))


def assess_task(task_file: Path, questions: Questionnaire | None = None, *, measure: bool = False) -> Assessment:
    """Study a task.yaml with its data and what people say of it.

    `measure`: time one question on a local model, which reads its weights; otherwise its speed is estimated from its size.
    Raises what `load_config` and reading the data raise; data too few to split are assessed all the same.
    """
    said = questions or Questionnaire()
    found = _material(task_file)
    evidence = gather(found.task, (*found.train, *found.dev), found.train, found.test, found.documents)
    places = [_place(found, config) for config in found.config.models]
    prices = _prices(found.config, said)
    cost = found.config.cost
    written = cost.monthly_volume if "monthly_volume" in cost.model_fields_set else None
    case = Case(found.task, said, evidence, prices.monthly_volume, written)
    rungs = _rungs(found, places, case, prices, measure=measure)
    rungs = sorted(rungs, key=lambda rung: ADVICE.index(rung.advice))
    costs = _api_or_own(found, places, case, prices, measure=measure)
    return Assessment(
        task=found.task.name,
        language=found.task.language,
        metric=found.task.metric,
        currency=prices.currency,
        facts=facts_of(case),
        answers={
            name: _written(value) for name, value in said.model_dump(exclude_unset=True).items() if value is not None
        },
        unknown=said.unanswered,
        conflicts=conflicts_of(case, [place.config.label for place in places if place.outside]),
        rungs=tuple(rungs),
        missing=missing_of(case, rungs),
        costs=costs,
        plan=pilot(case, rungs),
        assumptions=_assumptions(said, measure=measure),
        summary=summary_of(case, rungs),
    )


def _written(value: object) -> str:
    """An answer as it is written in assess.yaml."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _material(task_file: Path) -> Material:
    try:
        prepared = prepare(task_file)
    except DataError as error:
        if error.code not in TOO_FEW:
            raise
        return _unsplit(task_file)
    parts_of = prepared.examples
    return Material(
        prepared.config,
        prepared.task,
        parts_of["train"],
        parts_of["dev"],
        parts_of["test"],
        prepared.documents.documents,
        prepared,
    )


def _unsplit(task_file: Path) -> Material:
    """Too few rows for three splits: all of them are looked at, and there is no test to keep closed."""
    config = load_config(task_file)
    output = config.output
    read = read_undealt(config, read_spec(config), ("train", "dev"))
    rows = tuple(example for part in read.values() for example in part.examples)
    labels = sorted({row.references[0] for row in rows if row.references}) if output.kind == "label" else ()
    documents = task_documents(config)
    return Material(config, to_task(config, labels), by_kept_name(rows, documents.copies), (), (), documents.documents)


def _place(found: Material, config: ModelConfig) -> Place:
    if found.prepared is None:
        return Place(config, None, teller("assess_not_opened")(name=config.label))
    try:
        return Place(config, open_model(found.prepared, config))
    except (BackendError, UsageError, DataError) as error:
        return Place(config, None, _told(error))


def _told(error: RungError) -> Text:
    problem: Problem = error.problems[0]
    return Text(en=problem.message("en"), zh=problem.message("zh"))


def _prices(config: Config, said: Questionnaire) -> Prices:
    """Those of task.yaml; the questionnaire's volume where it names one."""
    prices = prices_of(config.cost)
    return replace(prices, monthly_volume=said.monthly_volume) if said.monthly_volume else prices


class _Unasked:
    """Stands in for a model where only its estimate is wanted: nothing is loaded, and every question fails."""

    def __init__(self, ref: ModelRef) -> None:
        self.ref = ref
        self.capabilities = Capabilities()

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [Completion(failure=Failure("error", "not opened"), finish="error") for _ in requests]


def _rungs(found: Material, places: Sequence[Place], case: Case, prices: Prices, *, measure: bool) -> list[Rung]:
    names = planned_methods(found.config.methods)
    rungs = []
    with TemporaryDirectory() as folder:
        fit = FitData(
            task=found.task,
            train=found.train,
            dev=found.dev,
            documents=found.documents,
            run=Path(folder),
            folder=Path(folder),
            encoder=found.config.encoder,
            seed=found.config.data.seed,
            disliked=found.prepared.disliked.kept if found.prepared else (),
        )
        for name in names:
            needed = needs_model(method_named(name))
            for place in places if needed else places[:1]:
                rungs.append(_rung(fit, name, place, case, prices, measure=measure))
    return rungs


def _rung(fit: FitData, name: str, place: Place, case: Case, prices: Prices, *, measure: bool) -> Rung:
    method = method_named(name)
    needed = needs_model(method)
    blockers = _blockers(fit, name, place, case)
    trained = is_trained(method)
    base = Rung(
        method=name,
        model=place.config.label if needed else "-",
        name=method_name(name),
        advice="no" if blockers else "next",
        reasons=(),
    )
    if not blockers:
        base = base.model_copy(update=_expected(fit, name, place, case, prices, measure=measure))
    return advise(case, base, blockers=blockers, trained=trained, context=_context(place))


def _context(place: Place) -> int:
    return place.model.capabilities.context_tokens if place.model else 0


def _blockers(fit: FitData, name: str, place: Place, case: Case) -> list[Text]:
    """Why it cannot be tried, in words: the method's own reasons, a model that may not or cannot be used."""
    method = method_named(name)
    if needs_model(method) and place.outside and case.said.data_may_leave is False:
        return [teller("assess_private")(name=place.config.label)]
    if needs_model(method) and place.model is None:
        return [place.trouble or plain("")]
    codes = method.blockers(fit, place.model or _Unasked(ModelRef(kind="none", id="none")))
    return [Text(en=Problem(code).message("en"), zh=Problem(code).message("zh")) for code in codes]


def _expected(
    fit: FitData, name: str, place: Place, case: Case, prices: Prices, *, measure: bool
) -> dict[str, float | None]:
    """Seconds and money to make it, money for 1,000 answers and seconds for one: estimates, no more."""
    method = method_named(name)
    asked = method.estimate(fit, _Unasked(place.model.ref if place.model else ModelRef(kind="none", id="none"))).seconds
    if not needs_model(method):
        spend = Spend(cpu_seconds=asked)
        return {"seconds": asked, "once": prices.of(spend), "per_1000": 0.0, "latency": None}
    load = _load(name, case.evidence)
    bare = _load("prompt", case.evidence)
    latency = _seconds(fit, place, load, bare, measure=measure)
    single = _seconds(fit, place, bare, bare, measure=measure)
    if place.config.base_url:
        fee = load.fee(place.config.input_price, place.config.output_price)
        return {"seconds": asked, "once": asked * fee, "per_1000": 1000 * fee, "latency": latency}
    busy = Spend(cpu_seconds=2 * asked * single)
    answer = Spend(cpu_seconds=2 * latency)
    return {
        "seconds": asked * single,
        "once": prices.of(busy),
        "per_1000": 1000 * prices.of(answer),
        "latency": latency,
    }


@dataclass(frozen=True)
class Load:
    """Tokens of one answer: read and written."""

    read: float
    written: float

    def fee(self, input_price: float, output_price: float) -> float:
        """Money for one answer, at prices for a million tokens."""
        return (self.read * input_price + self.written * output_price) / 1e6


def _load(name: str, evidence: Evidence) -> Load:
    question, answer = evidence.question_tokens, evidence.answer_tokens
    read = INSTRUCTION_TOKENS + question
    pieces = name.split("+")
    if "few_shot" in pieces:
        read += 4 * (question + answer)
    if "rag" in pieces:
        read += 2 * 1.35 * PASSAGE_WORDS
    return Load(read, max(1.0, answer))


def _seconds(fit: FitData, place: Place, load: Load, bare: Load, *, measure: bool) -> float:
    """Seconds for one answer; `bare` is the load of the plain prompt, which is what would be timed."""
    if place.config.base_url or place.model is None:
        return ENDPOINT_SECONDS
    if measure and place.model.capabilities.trainable:
        return seconds_per_question(fit, place.model) * max(1.0, load.read / bare.read)
    # A label is chosen from the prompt's own pass; text is written token by token.
    written = 0.0 if fit.task.output.kind == "label" else load.written
    return _size(place) * (load.read * PROMPT_SECOND + written * ANSWER_SECOND)


def _size(place: Place) -> float:
    """Times the built-in model, by the weights that lie in a local folder; 1 where that is not known."""
    folder = Path(place.config.path or place.config.id)
    files = list(folder.glob("*.safetensors")) if folder.is_dir() else []
    size: float = sum(file.stat().st_size for file in files) / (1 << 30) / BUILT_IN_GIB
    return size if files else 1.0


def _api_or_own(found: Material, places: Sequence[Place], case: Case, prices: Prices, *, measure: bool) -> Costs | None:
    """An endpoint by the token beside a machine by the month, for the same questions; None without a question."""
    if not case.evidence.examples:
        return None
    rag = bool(case.evidence.documents) and found.task.output.kind == "text"
    load = _load("rag" if rag else "prompt", case.evidence)
    remote = next((p.config for p in places if p.config.base_url and p.config.input_price), None)
    said = case.said
    fee = load.fee(
        remote.input_price if remote else said.api_input_price, remote.output_price if remote else said.api_output_price
    )
    own = next((place for place in places if not place.config.base_url), None)
    with TemporaryDirectory() as folder:
        fit = FitData(found.task, found.train, found.dev, found.documents, Path(folder), Path(folder))
        bare = _load("prompt", case.evidence)
        seconds = _seconds(fit, own, load, bare, measure=measure) if own else PROMPT_SECOND * load.read
    machine = found.config.cost.machine_month_price or said.machine_month_price
    demands = [
        Priced("api", "api", "", Demand(per_answer=fee), teller("assess_api")()),
        Priced(
            "own",
            "own",
            "",
            Demand(machine_month=machine, answers_per_machine=LOAD * MONTH_SECONDS / seconds),
            teller("assess_own")(),
        ),
    ]
    return cost_record(demands, replace(prices, upkeep=Upkeep()))


def _assumptions(said: Questionnaire, *, measure: bool) -> tuple[Text, ...]:
    keys = ["assess_assume_timed" if measure else "assess_assume_speed", "assess_assume_tokens", "assess_assume_load"]
    found = [teller(key)(load=f"{100 * LOAD:.0f}%") for key in keys]
    if not {"api_input_price", "api_output_price", "machine_month_price"} <= said.model_fields_set:
        found.append(
            teller("assess_assume_prices")(
                read=f"{said.api_input_price:g}",
                written=f"{said.api_output_price:g}",
                machine=f"{said.machine_month_price:g}",
            )
        )
    found.append(teller("assess_assume_rules")())
    return tuple(found)
