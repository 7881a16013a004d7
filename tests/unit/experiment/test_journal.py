"""A method's notebook: what was tried and noted is there after a kill."""

from __future__ import annotations

from pathlib import Path

from rung.core.method import Trial
from rung.experiment.journal import FileJournal
from rung.store.records import TrialRecord


def test_trials_and_notes_are_read_again(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "cell")
    assert (journal.trials, journal.notes, journal.find({"k": 3})) == ([], {}, None)
    trial = Trial({"k": 3, "词": "值"}, 0.5, 8, 1.5, 2)
    journal.add(trial)
    journal.note("curve", [{"step": 1, "loss": 0.5}])
    journal.note("converged", False)
    again = FileJournal(tmp_path / "cell")
    assert again.trials == [trial]
    assert again.notes == {"curve": [{"step": 1, "loss": 0.5}], "converged": False}
    assert again.records() == (TrialRecord(setting={"k": 3, "词": "值"}, score=0.5, n=8, seconds=1.5, failed=2),)


def test_a_setting_is_found_whatever_the_order_of_its_keys_and_only_when_all_agree(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.add(Trial({"k": 3, "layout": "chat"}, 0.5, 8))
    assert FileJournal(tmp_path).find({"layout": "chat", "k": 3}) is not None
    assert journal.find({"k": 3}) is None
    assert journal.find({"k": "3", "layout": "chat"}) is None


def test_a_trial_that_was_cut_off_while_it_was_written_is_tried_again(tmp_path: Path) -> None:
    FileJournal(tmp_path).add(Trial({"k": 3}, 0.5, 8))
    with (tmp_path / "trials.jsonl").open("ab") as file:
        file.write(b'{"setting": {"k": 5}, "score": 0.')
    journal = FileJournal(tmp_path)
    assert [trial.setting for trial in journal.trials] == [{"k": 3}]
    journal.add(Trial({"k": 5}, 0.75, 8))
    assert [trial.score for trial in FileJournal(tmp_path).trials] == [0.5, 0.75]
