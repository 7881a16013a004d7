"""Running a plan: adapt, evaluate on dev and test, decide. Killed at any moment, the same call goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from rung.core.answer import Opened, open_candidate
from rung.core.errors import InterruptedRun, UsageError
from rung.core.evaluation import Evaluation
from rung.core.hashing import hash_json
from rung.core.lock import folder_lock
from rung.core.method import Progress, Silent, Workers
from rung.core.registry import create
from rung.core.task import Example, Split, SplitName
from rung.experiment.adapt import adapt, put_in_place
from rung.experiment.aftermath.measure import measure_winner
from rung.experiment.attacking.attack import light_attack
from rung.experiment.costs import prices_of
from rung.experiment.decide import Contender, decide, price
from rung.experiment.decide import Protocol as DecisionProtocol
from rung.experiment.diagnosing.stability import Measured, light_stability
from rung.experiment.evaluate import Question, evaluate
from rung.experiment.fan_out import cells_apart, fan_out, is_repeated
from rung.experiment.headroom import best_on_dev
from rung.experiment.kept_run import KeptRun
from rung.experiment.knowledge.measure import measure_finished
from rung.experiment.limits import UNCHANGED, Limits
from rung.experiment.machine import machine, shown, versions
from rung.experiment.meter import PeakMemory, Stopwatch
from rung.experiment.plan import make_plan, open_bench
from rung.experiment.session import Session, Unwatched, Watcher
from rung.experiment.setup import Prepared, prepare
from rung.experiment.tracking.targets import targets_of
from rung.experiment.tracking.tracker import tracked
from rung.experiment.workers import workers_on
from rung.methods.slots import encoder_named, seeded_sample
from rung.store.records import Cell, Decision, Outcome, Plan
from rung.store.runs import RunFolder

_SPLITS: tuple[SplitName, ...] = ("dev", "test")
DEV_QUESTIONS = {"label": 150, "text": 32, "json": 32}


def run_folder(prepared: Prepared, runs: Path | None = None, run_id: str | None = None) -> RunFolder:
    """Where a run of this task and data lies. The name holds their hash: the same input is the same run."""
    name = run_id or f"{_slug(prepared.task.name)}-{prepared.hash}"
    return RunFolder((runs or prepared.config.folder / "runs") / name)


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-") or "task"


def run_task(
    task_file: Path,
    *,
    runs: Path | None = None,
    run_id: str | None = None,
    compare_all: bool = False,
    limits: Limits = UNCHANGED,
    watcher: Watcher | None = None,
) -> RunFolder:
    """Run the whole ladder of a task and decide.

    `limits` take the place of task.yaml's budget for this call, and leave the run the same one.

    With a target and without `compare_all`, climb: stop at the first rung that is shown to reach it. Raises UsageError and
    DataError before anything is spent; InterruptedRun E4001 when stopped, E4002 when another process holds the run.
    """
    watcher = watcher or Unwatched()
    prepared = limits.applied(prepare(task_file, watcher.reading()))
    run = run_folder(prepared, runs, run_id)
    targets = targets_of(prepared.config, run.path)
    with (
        folder_lock(run.path),
        PeakMemory().watching() as memory,
        tracked(watcher, run.path, targets) as watcher,
    ):
        _check_same(run, prepared)
        session = _start(task_file, prepared, run, memory, watcher, compare_all, limits)
        try:
            _climb_or_compare(session)
        except KeyboardInterrupt as error:
            raise InterruptedRun("E4001", run=run.path) from error
        finally:
            _keep_record(session)
    return run


def _check_same(run: RunFolder, prepared: Prepared) -> None:
    if (run.path / "run.yaml").is_file() and run.read_run().get("hash") != prepared.hash:
        raise UsageError("E1303", run=run.path)


def _start(
    task_file: Path,
    prepared: Prepared,
    run: RunFolder,
    memory: PeakMemory,
    watcher: Watcher,
    compare_all: bool,
    limits: Limits,
) -> Session:
    bench = open_bench(prepared, run.path)
    mode: Literal["compare", "climb"] = "climb" if prepared.task.target is not None and not compare_all else "compare"
    metrics = [create("metric", name, task=prepared.task) for name in prepared.task.metrics]
    first = not (run.path / "run.yaml").is_file()
    before = 0.0 if first else float(run.read_run().get("wall_seconds", 0.0))
    session = Session(task_file, prepared, run, bench, metrics, watcher, memory, mode, limits, spent_before=before)
    if first:
        parts = prepared.examples
        run.write_examples({**parts, "train": (*parts["train"], *prepared.disliked.kept)})
        if prepared.rejects:
            from rung.data.rejects import write_rejects

            write_rejects(run.path / "rejects.jsonl", prepared.rejects)
        run.write_splits(prepared.splits.to_json())
        _keep_record(session)
    plan = run.read_plan()
    if plan is None:
        plan = make_plan(prepared, bench, run.path).model_copy(update={"mode": mode})
        run.write_plan(plan)
    watcher.planned(plan, run)
    return session


def _keep_record(session: Session) -> None:
    prepared, run = session.prepared, session.run
    before = run.read_run() if (run.path / "run.yaml").is_file() else {}
    finished = before.get("finished", False) or run.read_decision() is not None
    record = {
        "id": run.path.name,
        "name": prepared.task.name,
        "hash": prepared.hash,
        "created": before.get("created") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": before.get("command") or f"rung run {shown(session.task_file)}",
        "finished": finished,
        "wall_seconds": round(session.spent_before + session.watch.seconds, 1),
        "peak_memory_gib": round(max(session.memory.peak_gib, before.get("peak_memory_gib", 0.0)), 3),
        "currency": prepared.config.cost.currency,
        "seed": prepared.config.data.seed,
        "data": prepared.record(),
        "versions": versions(),
        "machine": machine(),
        "task": prepared.task.model_dump(mode="json"),
        "config": prepared.config.model_dump(mode="json"),
        "limits": {name: value for name, value in asdict(session.limits).items() if value is not None},
    }
    run.write_run(record)


def _climb_or_compare(session: Session) -> None:
    run, plan = session.run, session.run.read_plan()
    assert plan is not None
    contenders: list[Contender] = []
    if session.limits.on and session.mode == "compare" and cells_apart(session, plan):
        session.bench.release()
        with workers_on(session.limits.on) as workers:
            fan_out(session, plan, workers)
    for number, cell in enumerate(plan.cells):
        # The time that finished rungs took must outlive a kill, or the next attempt would have it again.
        _keep_record(session)
        outcome = run.read_outcome(cell)
        if cell.blockers:
            outcome = outcome or _keep(session, Outcome(cell=cell, status="blocked"), None)
            continue
        if outcome is None or not _settled(session, outcome):
            progress = session.watcher.started(cell)
            best = best_on_dev(session.metrics[0], contenders)
            with _help(session, cell) as workers:
                outcome = adapt(session, cell, list(plan.cells[number:]), progress, best, workers)
            if outcome.status != "done":
                _keep(session, outcome, None)
                continue
        else:
            progress = session.watcher.started(cell)
        if outcome.status == "skipped":
            continue
        put_in_place(run, outcome)
        contender = _evaluate(session, outcome, progress)
        session.watcher.finished(outcome, contender.test if contender else None)
        if contender is not None:
            contenders.append(contender)
        if session.mode == "climb" and contender is not None:
            decision = _decide(session, contenders, plan)
            if decision.winner is not None:
                _skip_rest(session, plan.cells[number + 1 :])
                break
    session.bench.release()
    session.run.write_costs(price(contenders, prices_of(session.prepared.config.cost)))
    session.run.write_decision(_decide(session, contenders, plan))
    _aftermath(session)
    _ceilings(session)


@contextmanager
def _help(session: Session, cell: Cell) -> Iterator[Workers | None]:
    """Workers for a rung of several trainings, where the call names some. They go before anything is evaluated and timed."""
    if session.limits.on and is_repeated(session, cell):
        with workers_on(session.limits.on, memory_gib=cell.estimate.memory_gib) as workers:
            yield workers
    else:
        yield None


def _aftermath(session: Session) -> None:
    """What tuning did to the winner besides the task, in short; the verdict is on disk by then, and does not wait for it."""
    decision = session.run.read_decision()
    winner = decision.winner if decision else None
    made = next((outcome for outcome in session.run.outcomes() if winner and outcome.candidate == winner), None)
    if made is not None and session.prepared.config.budget.aftermath:
        measure_winner(session.run, left=session.left, progress=lambda: session.watcher.started(made.cell))


def _ceilings(session: Session) -> None:
    """The documents' health, and how far retrieval and reading reach; after the verdict, which does not wait for it."""
    if session.prepared.config.budget.ceilings:
        cells = [outcome.cell for outcome in session.run.outcomes() if outcome.status == "done"]
        progress = (lambda: session.watcher.started(cells[-1])) if cells else Silent
        measure_finished(session.run, session.prepared.documents, left=session.left, progress=progress)


def _settled(session: Session, outcome: Outcome) -> bool:
    """Whether a cell needs no more work: what a climb skipped is opened in compare mode, and without probes what they skipped."""
    if outcome.status == "skipped" and "headroom" in outcome.notes:
        return session.prepared.config.budget.probe
    return outcome.status == "done" or (outcome.status == "skipped" and session.mode == "climb")


def _skip_rest(session: Session, cells: Sequence[Cell]) -> None:
    for cell in cells:
        if not cell.blockers and session.run.read_outcome(cell) is None:
            _keep(session, Outcome(cell=cell, status="skipped", reason="E4101"), None)


def _keep(session: Session, outcome: Outcome, test: Evaluation | None) -> Outcome:
    session.run.write_outcome(outcome)
    session.watcher.finished(outcome, test)
    return outcome


def _open(session: Session, outcome: Outcome) -> Opened:
    """The candidate on a model that is already there, or on its own where it has an adapter or needs none of ours."""
    run = session.run
    candidate = run.read_candidate(outcome.candidate)
    ours = session.bench.of(outcome.cell)
    shared = ours if candidate.adapter is None and candidate.model == ours.ref else None
    if shared is None:
        session.bench.release()
    encoder = encoder_named(session.prepared.config.encoder) if candidate.retriever or candidate.shots else None
    return open_candidate(
        candidate, run.candidate_folder(outcome.candidate), run.indexes, model=shared, encoder=encoder
    )


def _evaluate(session: Session, outcome: Outcome, progress: Progress) -> Contender | None:
    """Dev, then test; in climb mode test is opened only where dev promises the target."""
    opened = None
    watch = Stopwatch()
    found: dict[SplitName, Evaluation] = {}
    for split in _SPLITS:
        frozen, examples = _questions(session.prepared, split)
        kept = session.run.read_evaluation(outcome.candidate, split)
        if kept is not None and kept.header.split_hash == frozen.hash:
            found[split] = kept
            continue
        if split == "test" and session.mode == "climb" and not _promises(session, found["dev"]):
            return None
        opened = opened or _open(session, outcome)
        copied = session.prepared.copied if split == "test" else frozenset[str]()
        question = Question(outcome.candidate, outcome.cell.method, opened, frozen, examples, copied)
        found[split] = evaluate(session.run, question, session.metrics, progress=progress, memory=session.memory)
    session.slowest = max(session.slowest, watch.seconds)
    stability = _stability(session, outcome, opened, progress)
    candidate = session.run.read_candidate(outcome.candidate)
    attacked = _attack_rate(session, outcome, opened, progress)
    return Contender(outcome, found["test"], found["dev"], candidate, stability, attacked)


def _stability(session: Session, outcome: Outcome, opened: Opened | None, progress: Progress) -> float | None:
    """Measured only where the verdict has a limit on it, and once for each candidate."""
    prepared = session.prepared
    if prepared.config.constraints.min_stability is None:
        return None
    metric, seed = session.metrics[0], prepared.config.data.seed
    subject = Measured(session.run, outcome.candidate, outcome.cell.method, prepared.task, metric, seed)
    found = light_stability(
        subject, lambda: opened or _open(session, outcome), prepared.examples["dev"], progress=progress
    )
    return found.agreement.point if found else None


def _attack_rate(session: Session, outcome: Outcome, opened: Opened | None, progress: Progress) -> float | None:
    """Measured only where the verdict has a limit on it; a candidate that reads no documents cannot be steered by one."""
    if session.prepared.config.constraints.max_attack_rate is None:
        return None
    kept = KeptRun(session.run)
    found = light_attack(kept, outcome.candidate, lambda: opened or _open(session, outcome), progress)
    rate = found.rate() if found else None
    return 0.0 if found is None else rate.rate.point if rate else None


def _questions(prepared: Prepared, split: SplitName) -> tuple[Split, tuple[Example, ...]]:
    """All of test; of dev at most a seeded sample, since dev is no evidence and a large one would cost as much as test."""
    frozen, examples = prepared.splits[split], prepared.examples[split]
    limit = DEV_QUESTIONS[prepared.task.output.kind]
    if split != "dev" or len(examples) <= limit:
        return frozen, examples
    sample = seeded_sample(examples, limit, prepared.config.data.seed, "dev evaluation")
    ids = tuple(example.id for example in sample)
    return Split(name="dev", ids=ids, hash=hash_json([frozen.hash, ids])), sample


def _promises(session: Session, dev: Evaluation) -> bool:
    value = dev.summaries[session.prepared.task.metric].value
    target = session.prepared.task.target
    return value is not None and (target is None or value >= target)


def _decide(session: Session, contenders: Sequence[Contender], plan: Plan) -> Decision:
    protocol = DecisionProtocol(
        task=session.prepared.task,
        metric=session.metrics[0],
        prices=prices_of(session.prepared.config.cost),
        mode=session.mode,
        planned=sum(not cell.blockers for cell in plan.cells),
        seed=session.prepared.config.data.seed,
        min_stability=session.prepared.config.constraints.min_stability,
        max_attack_rate=session.prepared.config.constraints.max_attack_rate,
    )
    return decide(contenders, protocol)
