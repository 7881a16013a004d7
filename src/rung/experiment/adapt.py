"""One rung of a run: its share of the budget, the look for headroom, the method's work, and the candidate put in its place."""

from __future__ import annotations

import errno
import shutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from rung.core.durable import free_space, write_json
from rung.core.errors import BackendError, DataError, RungError, UsageError, WriteError
from rung.core.method import Budget, Cost, Progress, Workers
from rung.experiment.headroom import look_for_headroom, no_headroom
from rung.experiment.journal import FileJournal
from rung.experiment.meter import Stopwatch
from rung.experiment.plan import fit_data, is_trained
from rung.experiment.session import Session
from rung.methods.named import method_named
from rung.store.records import Cell, Outcome, Spend, Stated
from rung.store.runs import RunFolder

_TRAINING_ENDED = frozenset({"E3020", "E3021", "E3022"})
"""A training process that died, found no memory, or was killed."""
_PLAIN_SHARES = 2.0
"""Even shares of the time left that a rung without training may take: it needs fewer, and what it leaves goes to training."""
_RESERVE = 1.3
"""How much longer than the slowest evaluation so far the coming ones are taken to last."""


def adapt(
    session: Session,
    cell: Cell,
    coming: Sequence[Cell],
    progress: Progress,
    best: float | None,
    workers: Workers | None = None,
) -> Outcome:
    """Let a method make its candidate, in a working folder that becomes the candidate's own when it is complete.

    A method that sees no headroom is skipped. `best`: dev score of the best rung so far. `workers`: who makes several trainings of it.
    """
    run, method = session.run, method_named(cell.method)
    working = run.working_folder(cell)
    working.mkdir(parents=True, exist_ok=True)
    journal = FileJournal(working)
    seconds = _share(session, cell, coming)
    budget = Budget(
        journal=journal,
        seconds=seconds,
        progress=progress,
        charged=session.bench.charged,
        processes=session.limits.devices or 1,
        workers=workers,
    )
    fit = fit_data(session.prepared, run.path, working, cell.method)
    watch = Stopwatch()
    before = [float(journal.notes.get(f"spent_{what}", 0.0)) for what in ("seconds", "cpu")]
    purse = session.bench.purse
    purse.account = cell.name
    session.memory.restart()

    def spent() -> Spend:
        """Earlier attempts at the rung included."""
        taken = before[0] + watch.seconds
        apart = workers.spent() if workers else Cost()
        # While workers have it, no GPU works here; theirs count by what each of them took.
        here = taken - apart.seconds if "cuda" in session.bench.of(cell).ref.engine else 0.0
        return Spend(
            seconds=taken,
            cpu_seconds=before[1] + watch.cpu + apart.cpu_seconds,
            gpu_seconds=here + apart.gpu_seconds,
            money=purse.spent_on(cell.name),
            memory_gib=session.memory.stretch_gib,
        )

    try:
        model = session.bench.of(cell)
        seen = look_for_headroom(method, fit, model, budget, best) if session.prepared.config.budget.probe else None
        if seen is not None and seen.status == "none":
            return no_headroom(cell, seen, spent())
        candidate = method.adapt(fit, model, budget)
    except (DataError, UsageError) as error:
        return _failed(cell, error, spent())
    except BackendError as error:
        # A backend that is gone stops the run, which resumes; a training process that died costs only its own rung.
        if error.code not in _TRAINING_ENDED:
            raise
        return _failed(cell, error, spent())
    except RungError:
        raise
    except OSError as error:
        code = "E5002" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "E5001"
        path = Path(error.filename or working)
        raise WriteError(code, path=path, reason=error.strerror or str(error), free=free_space(path)) from error
    except Exception as error:
        (working / "error.log").write_text(traceback.format_exc(), "utf-8")
        print(traceback.format_exc(), file=sys.stderr)
        return Outcome(cell=cell, status="failed", reason=f"{type(error).__name__}: {error}", spent=spent())
    finally:
        used = spent()
        journal.note("spent_seconds", used.seconds)
        journal.note("spent_cpu", used.cpu_seconds)
        purse.account = ""
    notes = {key: value for key, value in journal.notes.items() if not key.startswith("spent_")}
    outcome = Outcome(
        cell=cell, status="done", candidate=candidate.id, spent=used, trials=journal.records(), notes=notes
    )
    write_json(working / "candidate.json", {"id": candidate.id, **candidate.model_dump(mode="json")})
    run.write_outcome(outcome)
    put_in_place(run, outcome)
    return outcome


def _failed(cell: Cell, error: RungError, spent: Spend) -> Outcome:
    return Outcome(cell=cell, status="failed", reason=str(error), problems=Stated.of(error), spent=spent)


def _share(session: Session, cell: Cell, coming: Sequence[Cell]) -> float | None:
    """Seconds for one rung: what is left, less the evaluations to come, split evenly over the trained rungs still to come.

    A rung without training stops trying settings after two even shares among all the rungs to come.
    """
    left = session.left
    if left is None:
        return None
    able = [c for c in coming if not c.blockers]
    trained = [c for c in able if is_trained(method_named(c.method))]
    reserve = _RESERVE * session.slowest * len(able)
    among = len(trained) if is_trained(method_named(cell.method)) else len(able) / _PLAIN_SHARES
    return max(10.0, (left - reserve) / max(1, among))


def put_in_place(run: RunFolder, outcome: Outcome) -> None:
    """Give the folder of a finished candidate its name, unless it has it.

    The outcome is on disk by then: killed in between, a rung would otherwise lose its notes and begin anew.
    """
    working, target = run.working_folder(outcome.cell), run.candidate_folder(outcome.candidate)
    if (working / "candidate.json").is_file():
        shutil.rmtree(target, ignore_errors=True)
        working.rename(target)
