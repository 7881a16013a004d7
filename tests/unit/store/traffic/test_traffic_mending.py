"""A damaged database is found when it is opened, set aside and restored, and it is said what came back."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from traffic_store import a_trace, a_word

from rung.core.errors import WriteError
from rung.core.hashing import seed_from
from rung.store.traffic.database import Traffic
from rung.store.traffic.mending import backup_due, backup_path, damage

BACKED_UP, LATER = 60, 20


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database, whose last rows came after its backup."""
    path = tmp_path_factory.mktemp("filled") / "traffic.sqlite"
    with Traffic.open(path) as traffic:
        for first, last in ((0, BACKED_UP), (BACKED_UP, BACKED_UP + LATER)):
            traces = [a_trace(n, passages=("a#1", "b#2")) for n in range(first, last)]
            traffic.add_traces(traces)
            for trace in traces:
                traffic.add_feedback(a_word(trace, comment="fine"))
            traffic.new_key(f"desk {first}")
            if not first:
                traffic.back_up()
    return path.parent


@pytest.fixture
def path(filled: Path, tmp_path: Path) -> Path:
    shutil.copytree(filled, tmp_path / "state")
    return tmp_path / "state" / "traffic.sqlite"


def overwrite(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


def test_a_sound_database_is_left_as_it_is(path: Path) -> None:
    with Traffic.open(path) as traffic:
        assert traffic.mended is None
        assert len(list(traffic.feedback())) == BACKED_UP + LATER
    assert not list(path.parent.glob("*.damaged-*"))


def test_a_destroyed_database_comes_back_from_its_backup(path: Path) -> None:
    overwrite(path, 0, b"not a database at all, and no header")
    with Traffic.open(path) as traffic:
        mended = traffic.mended
        assert mended is not None
        assert mended.restored == {"traces": BACKED_UP, "feedback": BACKED_UP, "keys": 1}
        assert len(list(traffic.traces())) == BACKED_UP
        said = mended.problem.message()
        assert mended.problem.code == "E7054"
        assert f"{BACKED_UP} answers" in said
        assert "{" not in said + mended.problem.message("zh") + mended.problem.hint() + mended.problem.hint("zh")
        assert mended.kept.is_file()
        trace = a_trace(500)
        traffic.add_traces([trace])
        traffic.add_feedback(a_word(trace))
    assert damage(path) == ""


def test_rows_that_came_after_the_backup_are_read_out_where_they_can_be(path: Path) -> None:
    with Traffic.open(path) as traffic:
        broken = list(traffic.traces())[70].id
    data = path.read_bytes()
    at = data.index(b'{"question":"When is the rent of room 70 due?"}')
    overwrite(path, at, b'{"question"\xff\xfe')
    with Traffic.open(path) as traffic:
        assert traffic.mended is not None
        assert "rung_traces" in traffic.mended.reason
        assert traffic.mended.read == {"traces": LATER - 1, "feedback": LATER - 1, "keys": 1}
        assert traffic.trace(broken) is None
        assert len(list(traffic.feedback())) == BACKED_UP + LATER - 1


def test_without_a_backup_what_can_be_read_is_kept(path: Path) -> None:
    backup_path(path).unlink()
    data = path.read_bytes()
    overwrite(path, data.index(b'{"question":"When is the rent of room 70 due?"}'), b"\xff\xff")
    with Traffic.open(path) as traffic:
        assert traffic.mended is not None
        assert traffic.mended.problem.code == "E7055"
        assert "{" not in traffic.mended.problem.message() + traffic.mended.problem.message("zh")
        assert len(list(traffic.traces())) == BACKED_UP + LATER - 1


def test_a_file_cut_to_nothing_is_damaged_too(path: Path) -> None:
    path.write_bytes(b"")
    with Traffic.open(path) as traffic:
        assert traffic.mended is not None
        assert len(list(traffic.feedback())) == BACKED_UP


def test_a_torn_or_missing_log_costs_only_what_was_in_it(path: Path, tmp_path: Path) -> None:
    with Traffic.open(path) as traffic:
        trace = a_trace(900)
        traffic.add_traces([trace])
        torn, bare = tmp_path / "torn", tmp_path / "bare"
        for copy in (torn, bare):
            shutil.copytree(path.parent, copy)
    log = torn / "traffic.sqlite-wal"
    log.write_bytes(log.read_bytes()[:-100])
    (bare / "traffic.sqlite-wal").unlink()
    for copy in (torn, bare):
        with Traffic.open(copy / "traffic.sqlite") as traffic:
            assert len(list(traffic.feedback())) == BACKED_UP + LATER
            traffic.add_traces([a_trace(901)])


def test_whatever_is_flipped_the_database_opens_and_has_no_less_than_its_backup(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    rng = np.random.default_rng(seed_from("flipped bits"))
    mended = 0
    for n in range(30):
        folder = tmp_path / f"flip{n}"
        shutil.copytree(path.parent, folder)
        data = bytearray(whole)
        at = int(rng.integers(100 if n % 2 else len(data)))
        for _ in range(int(rng.integers(1, 5))):
            data[at % len(data)] ^= 1 << int(rng.integers(8))
            at += int(rng.integers(1, 400))
        (folder / path.name).write_bytes(bytes(data))
        with Traffic.open(folder / path.name) as traffic:
            mended += traffic.mended is not None
            assert len(list(traffic.traces())) >= BACKED_UP
            assert len(list(traffic.feedback())) >= BACKED_UP
            assert traffic.keys()
            trace = a_trace(950)
            traffic.add_traces([trace])
            traffic.add_feedback(a_word(trace))
    assert mended >= 5


def test_a_damaged_backup_is_not_put_in_the_place_of_anything(path: Path) -> None:
    overwrite(path, 0, b"no header")
    overwrite(backup_path(path), 0, b"no header")
    with Traffic.open(path) as traffic:
        assert traffic.mended is not None
        assert traffic.mended.backup is None
        assert list(traffic.traces()) == []


def test_a_backup_is_due_once_a_day_and_a_bad_one_replaces_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    assert not backup_due(path, now)
    assert backup_due(path, now + timedelta(days=1, minutes=1))
    assert backup_due(path, now - timedelta(days=1)), "a backup of tomorrow is none"
    before = backup_path(path).read_bytes()
    with Traffic.open(path) as traffic:
        traffic.add_traces([a_trace(n) for n in range(1000)])
        with monkeypatch.context() as patch:
            patch.setattr("rung.store.traffic.mending.damage", lambda _: "something")
            with pytest.raises(Exception, match="something"):
                traffic.back_up()
        assert backup_path(path).read_bytes() == before
        traffic.back_up()
        assert backup_path(path).read_bytes() != before
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "traffic.sqlite",
        "traffic.sqlite.backup",
        "traffic.sqlite.lock",
        "traffic.sqlite.turn",
    ]


def test_files_are_for_their_owner_alone(path: Path) -> None:
    fresh = path.parent / "fresh.sqlite"
    with Traffic.open(fresh) as traffic:
        traffic.add_traces([a_trace()])
        traffic.back_up()
        for name in ("fresh.sqlite", "fresh.sqlite-wal", "fresh.sqlite.backup"):
            assert (path.parent / name).stat().st_mode & 0o077 == 0, name


def test_erasing_names_the_damaged_files_that_may_hold_the_same(path: Path) -> None:
    overwrite(path, 0, b"no header")
    with Traffic.open(path) as traffic:
        removed = traffic.erase(contains="room 5 due")
        assert removed.traces == 1
        assert [Path(name).name.partition(".damaged")[0] for name in removed.files] == ["traffic.sqlite"]


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="E5001"):
        Traffic.open(tmp_path)


def test_a_flipped_bit_in_a_text_is_noticed_and_the_row_passed_over(path: Path) -> None:
    with Traffic.open(path) as traffic:
        broken = list(traffic.traces())[70]
    data = path.read_bytes()
    at = data.index(b"room 70 due")
    overwrite(path, at, b"room 71 due")
    overwrite(path, data.index(b"fine"), b"gine")
    with Traffic.open(path) as traffic:
        assert traffic.mended is None, "one row is no reason to set a database aside"
        assert traffic.trouble is None
        assert len(list(traffic.traces())) == len(list(traffic.feedback())) == BACKED_UP + LATER - 1
        assert traffic.trace(broken.id) is None
        assert {id[:2] for id in traffic.damaged} == {"rq", "fb"}
        assert traffic.trouble is not None
        assert traffic.trouble.code == "E7064"
        assert broken.id in traffic.trouble.message()


def test_whatever_is_flipped_in_a_row_while_it_is_served_stops_nobody_from_reading_the_others(path: Path) -> None:
    with Traffic.open(path) as traffic:
        order = [trace.id for trace in traffic.traces()]
        changes = {
            "at": 1 << 62, "inputs": "{", "history": '[["user"]]', "passages": "7", "answer": b"\xff\xfe", "confidence": "x",
            "tokens_in": "many", "status": -1, "streamed": 5, "checksum": 1,
        }  # fmt: skip
        with closing(sqlite3.connect(path)) as raw:
            for n, (name, value) in enumerate(changes.items()):
                raw.execute(f'UPDATE rung_traces SET "{name}" = ? WHERE id = ?', (value, order[n * 3]))
            raw.commit()
        broken = {order[n * 3] for n in range(len(changes))}
        assert [trace.id for trace in traffic.traces()] == [id for id in order if id not in broken]
        assert traffic.damaged == broken


def test_a_database_of_the_form_before_sums_is_brought_to_todays_also_where_it_is_damaged(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE rung_schema SET version_num = '0001'")
        for table in ("rung_traces", "rung_feedback", "rung_keys"):
            raw.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
        raw.commit()
    old = path.read_bytes()
    with Traffic.open(path) as traffic:
        assert traffic.mended is None
        assert len(list(traffic.traces())) == len(list(traffic.feedback())) == BACKED_UP + LATER
        traffic.add_traces([a_trace(800)])
    backup_path(path).unlink()
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    path.write_bytes(
        old.replace(b'{"question":"When is the rent of room 70', b'{"question"\xff\xfeWhen is the rent of room 70')
    )
    with Traffic.open(path) as traffic:
        assert traffic.mended is not None
        assert len(list(traffic.traces())) == BACKED_UP + LATER - 1
