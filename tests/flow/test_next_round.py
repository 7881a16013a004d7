"""From served answers to the next champion: feedback, review, export, retrain, promote, rollback."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from small_task import LABELS, QUESTIONS, scripted, write_task

import rung
from rung.cli import main as command_line
from rung.core.errors import DataError, TargetNotMet, UsageError
from rung.data.versions.dataset import DataSet
from rung.store.deployment import Deployment
from rung.store.runs import RunFolder
from rung.store.traffic.database import Traffic
from rung.store.traffic.records import Feedback, Trace, new_id

NEW = tuple(f"Could you please help me with case {n} of my {LABELS[n % 3]} at number {n * 7}?" for n in range(12))


def ran(folder: Path, *, wrong_every: int = 5, **changes: Any) -> RunFolder:
    return rung.run(write_task(folder, models=[scripted("careful", wrong_every)], **changes))


def say(run: RunFolder, *, consent: bool = True) -> None:
    """Somebody asks the new questions and one of the test set's, and corrects or confirms the answers."""
    test = run.read_examples("test")[0]
    start = datetime.now(UTC) - timedelta(hours=1)
    with Traffic.open(run.path / "serving" / "traffic.sqlite") as traffic:
        for n, question in enumerate((*NEW, test.text)):
            right = LABELS[n % 3]
            trace = Trace(
                new_id("rq"), start + timedelta(seconds=n), run=run.path.name, candidate="c", inputs={"question": question},
                answer=right if n % 2 else "rent",
            )  # fmt: skip
            traffic.add_traces([trace])
            corrected = right if trace.answer != right else ""
            word = Feedback(
                new_id("fb"), trace.id, start + timedelta(minutes=1, seconds=n), rating=-1 if corrected else 1,
                corrected=corrected, consent=consent,
            )  # fmt: skip
            traffic.add_feedback(word)


def command(
    *arguments: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["rung", *arguments])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_round_from_feedback_to_promotion_and_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ran(tmp_path)
    with pytest.raises(UsageError, match="E7126"):
        rung.retrain(run.path)
    say(run)
    found = rung.review_feedback(run.path)
    assert len(found.rows) == len(NEW)
    assert found.left_out["in_test"] == 1
    made = rung.export_feedback(run.path, unanswered=tmp_path / "open.jsonl")
    assert sum(made.added.values()) == len(NEW)
    assert set(made.added) <= {"train", "dev"}
    rows = DataSet(made.data).read()
    assert {row.id for row in rows if row.split == "test"} == {example.id for example in run.read_examples("test")}

    proposal = rung.retrain(run.path)
    new = RunFolder((run.path / proposal.run).resolve())
    assert new.path != run.path
    assert new.path.parent == run.path.parent
    assert proposal.added == dict(made.added)
    assert {e.id: e for e in new.read_examples("test")} == {e.id: e for e in run.read_examples("test")}
    assert len(new.read_examples("train")) == len(run.read_examples("train")) + made.added.get("train", 0)
    assert (new.path / "report.html").is_file()
    assert proposal.contest is not None
    assert proposal.contest.passed, proposal.contest.reasons
    assert not proposal.promoted, "a person promotes"
    assert Deployment.at(run.path).champion.run == run.path
    assert rung.retrain(run.path).run == proposal.run, "the same call finds the same run"

    def told(*arguments: str) -> tuple[int, str, str]:
        return command(*arguments, capsys=capsys, monkeypatch=monkeypatch)

    code, out, err = told("promote", str(run.path), str(new.path), "--because", "more questions", "--lang", "en")
    assert (code, out) == (0, "")
    assert f"{new.path.name}/" in err
    assert Deployment.at(run.path).champion.run == new.path
    code, out, err = told("rounds", str(run.path), "--json")
    assert json.loads(out)["champion"]["reason"] == "more questions"
    code, out, err = told("rounds", str(run.path), "--lang", "zh")
    assert code == 0
    assert "现行方案" in out
    assert told("rollback", str(run.path))[0] == 0
    assert Deployment.at(run.path).champion.run == run.path
    assert told("rollback", str(run.path))[0] == UsageError.exit_code
    code, out, err = told("canary", str(run.path), str(new.path), "--share", "0.25")
    assert code == 0
    state = rung.rounds(run.path)
    assert state.challenger is not None
    assert state.challenger.share == 0.25
    assert state.trial is not None
    assert state.trial.verdict == "open"
    assert told("rounds", str(run.path))[0] == 0
    assert told("canary", str(run.path), "--stop")[0] == 0
    assert rung.rounds(run.path).challenger is None
    for language in ("en", "zh"):
        assert told("feedback", "list", str(run.path), "--lang", language)[0] == 0
        assert told("feedback", "review", str(run.path), "--mask", "--lang", language)[0] == 0
    assert json.loads(told("feedback", "review", str(run.path), "--json")[1])["left_out"]["in_test"] == 1


def test_without_consent_there_is_nothing_to_export(tmp_path: Path) -> None:
    run = ran(tmp_path)
    say(run, consent=False)
    assert rung.review_feedback(run.path).left_out["no_consent"] == len(NEW) + 1
    with pytest.raises(DataError, match="E7120"):
        rung.export_feedback(run.path)
    assert not (run.path / "serving" / "data").exists()


def test_a_fresh_test_set_is_apart_and_is_not_trained_on_later(tmp_path: Path) -> None:
    run = ran(tmp_path)
    say(run)
    made = rung.export_feedback(run.path, fresh_test=0.5)
    assert made.fresh_test is not None
    fresh = {row.question for row in DataSet(made.fresh_test).read()}
    assert len(fresh) == made.added["fresh_test"] > 0
    assert not fresh & {row.question for row in DataSet(made.data).read()}
    again = rung.export_feedback(run.path)
    assert not fresh & {row.question for row in DataSet(again.data).read()}


def test_a_worse_run_is_refused_unless_a_person_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, worse = ran(tmp_path / "good", wrong_every=0), ran(tmp_path / "bad", wrong_every=2)
    with pytest.raises(TargetNotMet, match="E7124"):
        rung.promote(run.path, worse.path)
    assert Deployment.at(run.path).champion.run == run.path
    code, _, err = command(
        "promote", str(run.path), str(worse.path), "--lang", "zh", capsys=capsys, monkeypatch=monkeypatch
    )
    assert code == TargetNotMet.exit_code
    assert "新方案" in err
    with pytest.raises(UsageError, match="E7125"):
        rung.promote(run.path, worse.path, force=True)
    done = rung.promote(run.path, worse.path, force=True, because="the good one is too slow")
    assert done.forced
    assert Deployment.at(run.path).history()[-1]["forced"] is True
    with pytest.raises(UsageError, match="E7123"):
        rung.promote(run.path)


def test_a_task_may_have_new_winners_promoted_by_themselves(tmp_path: Path) -> None:
    run = ran(tmp_path, serving={"auto_promote": True})
    say(run)
    rung.export_feedback(run.path)
    proposal = rung.retrain(run.path)
    assert proposal.promoted
    assert Deployment.at(run.path).champion.run == (run.path / proposal.run).resolve()


def test_other_test_questions_are_refused(tmp_path: Path) -> None:
    run = ran(tmp_path)
    say(run)
    made = rung.export_feedback(run.path)
    dataset = DataSet(made.data)
    rows = [row for row in dataset.read() if row.question != QUESTIONS[0]]
    tests = [row for row in rows if row.split == "test"]
    dataset.commit([row for row in rows if row is not tests[0]], [])
    with pytest.raises(DataError, match="E7127"):
        rung.retrain(run.path)
