"""Traces and feedback in the database: what goes in comes out, and nobody sees what is another tenant's."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from traffic_store import START, a_trace, a_word, bytes_of

from rung.core.errors import BackendError, DataError, UsageError
from rung.core.task import Turn
from rung.store.traffic.database import Traffic
from rung.store.traffic.engines import address_of, make_engines
from rung.store.traffic.tables import SCHEMA, VERSION_TABLE, metadata

STRANGE = "Miete \0 \ud83d 房租 🏠 %_'\"; DROP TABLE rung_traces; --"
HELD = "Miete \u2400 \ufffd 房租 🏠 %_'\"; DROP TABLE rung_traces; --"


def test_a_trace_comes_out_as_it_went_in(traffic: Traffic) -> None:
    trace = a_trace(
        inputs={"question": "房租何时到期？", "city": "Köln"},
        history=(Turn("user", "Hi"), Turn("assistant", "Hello")),
        passages=("a#1", "b#2"),
        citations=("a#1",),
        shots=("t1",),
        flags=("shortened",),
        confidence=0.25,
        seconds_total=0.125,
        money=1e-7,
        streamed=True,
        consent=True,
        signal=-3.5,
        at=START + timedelta(microseconds=123457),
    )
    traffic.add_traces([trace])
    found = traffic.trace(trace.id)
    assert found is not None
    assert found.measured is not None
    assert (found.measured.input_chars, found.measured.input_language) == (len("房租何时到期？\nKöln"), "zh")
    assert replace(found, measured=None) == trace


def test_what_no_database_holds_is_replaced_and_spoils_nothing(traffic: Traffic) -> None:
    strange = a_trace(inputs={STRANGE: STRANGE}, answer=STRANGE, flags=(STRANGE,))
    traffic.add_traces([a_trace(1), strange, a_trace(2)])
    traffic.add_feedback(a_word(strange, corrected=STRANGE))
    found = traffic.trace(strange.id)
    assert found is not None
    assert found.answer == HELD
    assert found.inputs == {STRANGE: STRANGE}
    assert [word.corrected for word in traffic.feedback()] == [HELD]
    assert len(list(traffic.traces())) == 3


@pytest.mark.parametrize("n", [1, 2, 23, 205])
def test_many_at_once_are_all_there_and_what_was_there_stays(traffic: Traffic, n: int) -> None:
    traffic.add_traces([a_trace(id="rq-0", answer="the first")])
    traffic.add_traces([a_trace(id=f"rq-{i}", answer=f"answer {i}") for i in range(n)])
    found = {trace.id: trace.answer for trace in traffic.traces()}
    assert found == {f"rq-{i}": f"answer {i}" if i else "the first" for i in range(n)}


def test_reading_page_by_page_misses_none_of_equal_times(traffic: Traffic) -> None:
    found = [a_trace(n // 700) for n in range(1400)]
    traffic.add_traces(found)
    traffic.add_traces(found[:5])
    assert [trace.id for trace in traffic.traces()] == [t.id for t in sorted(found, key=lambda t: (t.at, t.id))]
    assert len(list(traffic.traces(limit=501))) == 501
    assert len(list(traffic.traces(since=START + timedelta(minutes=1)))) == 700
    assert len(list(traffic.traces(until=START + timedelta(minutes=1)))) == 700


def test_traces_are_narrowed_by_role_candidate_and_key(traffic: Traffic) -> None:
    traffic.add_traces([a_trace(role="shadow"), a_trace(candidate="other"), a_trace(key="key-1"), a_trace()])
    assert len(list(traffic.traces(role="shadow"))) == 1
    assert len(list(traffic.traces(candidate="other"))) == 1
    assert len(list(traffic.traces(key="key-1", role="champion"))) == 1


def test_another_tenants_answer_is_as_if_it_were_not_there(traffic: Traffic) -> None:
    mine, theirs = a_trace(tenant="a"), a_trace(tenant="b", inputs={"question": "canary-b"})
    traffic.add_traces([mine, theirs])
    traffic.add_feedback(a_word(theirs, comment="canary-b"))
    assert traffic.trace(theirs.id, tenant="a") is None
    assert traffic.trace("rq-unknown", tenant="a") is None
    assert [trace.id for trace in traffic.traces(tenant="a")] == [mine.id]
    assert list(traffic.feedback(tenant="a")) == []
    assert list(traffic.feedback(tenant="a", trace=theirs.id)) == []
    refusals = []
    for id in (theirs.id, "rq-unknown"):
        with pytest.raises(DataError) as refused:
            traffic.add_feedback(a_word(mine, trace=id))
        refusals.append(str(refused.value).replace(id, "ID"))
    assert refusals[0] == refusals[1]
    assert "E7050" in refusals[0]
    assert len(list(traffic.feedback())) == 1


def test_feedback_sent_twice_is_kept_once(traffic: Traffic) -> None:
    trace = a_trace()
    traffic.add_traces([trace])
    word = a_word(trace, rating=-1, corrected="deposit")
    traffic.add_feedback(word)
    traffic.add_feedback(word)
    assert list(traffic.feedback()) == [word]


def test_several_threads_of_several_openings_write_at_the_same_time(traffic: Traffic, address: str | Path) -> None:
    traces = [a_trace(n) for n in range(120)]
    with Traffic.open(address) as other:

        def work(mine: Traffic, part: int) -> None:
            for trace in traces[part::4]:
                mine.add_traces([trace])
                mine.add_feedback(a_word(trace))

        threads = [threading.Thread(target=work, args=((traffic, other)[n % 2], n)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(list(traffic.feedback())) == 120


def test_the_migrations_make_the_tables_that_the_code_knows(traffic: Traffic, address: str | Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    import rung.store.traffic.engines as room

    engines = make_engines(address_of(address))
    with engines.reading.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, VERSION_TABLE}
    engines.close()
    config = Config()
    config.set_main_option("script_location", str(room._MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA


def test_a_database_of_a_newer_version_is_left_alone(address: str | Path) -> None:
    Traffic.open(address).close()
    engines = make_engines(address_of(address))
    with engines.lasting.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    engines.close()
    with pytest.raises(DataError, match="E7053"):
        Traffic.open(address)


def test_without_texts_only_measures_are_kept(address: str | Path, tmp_path: Path) -> None:
    with Traffic.open(address, texts=False) as traffic:
        trace = a_trace(
            inputs={"question": "canary one"},
            history=(Turn("user", "canary two"),),
            answer="canary three",
            raw="canary",
        )
        traffic.add_traces([trace])
        traffic.add_feedback(a_word(trace, corrected="canary four", comment="canary five"))
        (kept,) = traffic.traces()
        (word,) = traffic.feedback()
        assert "".join(kept.texts()) == ""
        assert (word.corrected, word.comment, word.rating) == ("", "", 1)
        assert kept.measured is not None
        assert (kept.measured.input_chars, kept.measured.answer_chars) == (10, 12)
        assert kept.measured.answer_hash == traffic.fingerprint("canary three") != traffic.fingerprint("canary four")
        assert traffic.erase(contains="Canary three").traces == 0
        assert traffic.erase(contains="canary three").traces == 1
    assert b"canary" not in bytes_of(tmp_path)


def test_personal_data_is_masked_before_it_is_kept(address: str | Path, tmp_path: Path) -> None:
    with Traffic.open(address, mask=lambda said: said.replace("13800138000", "[PHONE]")) as traffic:
        trace = a_trace(inputs={"question": "call 13800138000"}, answer="13800138000 it is")
        traffic.add_traces([trace])
        traffic.add_feedback(a_word(trace, corrected="13800138000"))
        (kept,) = traffic.traces()
        assert (kept.text, kept.answer) == ("call [PHONE]", "[PHONE] it is")
        assert [word.corrected for word in traffic.feedback()] == ["[PHONE]"]
    assert b"13800138000" not in bytes_of(tmp_path)


def test_old_traces_are_pruned_with_what_was_said_of_them(traffic: Traffic) -> None:
    old, new = [a_trace(n) for n in range(700)], a_trace(5000)
    traffic.add_traces([*old, new])
    for trace in (old[0], old[699], new):
        traffic.add_feedback(a_word(trace))
    removed = traffic.prune(START + timedelta(minutes=700))
    assert (removed.traces, removed.feedback) == (700, 2)
    assert [trace.id for trace in traffic.traces()] == [new.id]
    assert [word.trace for word in traffic.feedback()] == [new.id]


def test_one_person_is_erased_from_everywhere(traffic: Traffic, address: str | Path, tmp_path: Path) -> None:
    asked = a_trace(1, inputs={"question": "My name is Ａda Canary"})
    shadow = a_trace(2, parent=asked.id, role="shadow", inputs={"question": "ada canary"})
    spoken = a_trace(3)
    other = a_trace(4, inputs={"question": "somebody else"})
    traffic.add_traces([asked, shadow, spoken, other])
    traffic.add_feedback(a_word(asked))
    traffic.add_feedback(a_word(spoken, comment="ADA CANARY asked this"))
    traffic.back_up()
    removed = traffic.erase(contains="ada canary")
    assert (removed.traces, removed.feedback) == (3, 2)
    assert [trace.id for trace in traffic.traces()] == [other.id]
    traffic.close()
    assert b"anary" not in bytes_of(tmp_path)


def test_a_key_or_one_answer_is_erased_and_nobody_by_mistake(traffic: Traffic) -> None:
    first, second, third = a_trace(1, key="key-1"), a_trace(2, key="key-2"), a_trace(3, key="key-2")
    traffic.add_traces([first, second, third])
    with pytest.raises(DataError, match="E7058"):
        traffic.erase(contains="  ")
    assert traffic.erase(key="key-1").traces == 1
    assert traffic.erase(trace=third.id, tenant="another").traces == 0
    assert traffic.erase(trace=third.id).traces == 1
    assert [trace.id for trace in traffic.traces()] == [second.id]


@pytest.mark.parametrize("address", ["mysql://u:secret@h/d", "://", "sqlite://"])
def test_an_address_of_another_kind_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(UsageError) as refused:
        Traffic.open(address)
    assert refused.value.code == "E7051"
    assert "secret" not in str(refused.value)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(BackendError) as refused:
        Traffic.open("postgresql://rung:secret@127.0.0.1:9/traffic")
    assert refused.value.code == "E7052"
    assert "127.0.0.1" in str(refused.value)
    assert "secret" not in str(refused.value)
