"""`rung keys` and `rung monitor`: secrets shown once, alarms with cause and next step, pages that load nothing, both languages."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner
from watched_run import World, decide_for, write_watched_run

import rung
from rung.cli.main import app
from rung.cli.traffic import moment_of, span_of
from rung.core.errors import UsageError
from rung.reporting.watch import watch_page, watch_text
from rung.store.traffic.database import Traffic

RUNNER = CliRunner()
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNG_LANG", "en")
    monkeypatch.delenv("RUNG_TRAFFIC", raising=False)
    found, candidate = write_watched_run(tmp_path / "topics")
    decide_for(found, candidate)
    return found.path


def served(run: Path, n: int = 300, **how: float) -> None:
    (candidate,) = (path.name for path in (run / "candidates").iterdir())
    with Traffic.open(run / "serving" / "traffic.sqlite") as traffic:
        traffic.add_traces(World(8).traces(n, candidate, until=datetime.now(UTC), **how))


def call(*arguments: object) -> tuple[str, str]:
    done = RUNNER.invoke(app, [str(each) for each in arguments])
    assert done.exception is None, done.exception
    return done.stdout, done.stderr


def test_a_secret_is_on_stdout_once_and_opens_the_door(run: Path) -> None:
    secret, talk = call("keys", "new", run, "desk", "--tokens-per-day", "1000", "--expires", "30d", "--label", "staff")
    assert re.fullmatch(r"rung-[\w-]{43}\n", secret)
    assert secret.strip() not in talk
    with Traffic.open(run / "serving" / "traffic.sqlite") as traffic:
        key = traffic.find_key(secret.strip())
    assert key is not None
    assert (key.tokens_per_day, key.labels) == (1000, frozenset({"staff"}))
    listed, _ = call("keys", "list", run)
    assert key.id in listed
    assert secret.strip() not in listed
    _, gone = call("keys", "revoke", run, key.id)
    assert key.id in gone
    (record,) = json.loads(call("keys", "list", run, "--json")[0])
    assert not record["valid"]
    assert rung.list_keys(run)[0].revoked is not None


def test_keys_lie_in_the_folder_that_is_named(run: Path, tmp_path: Path) -> None:
    key, _ = rung.new_key(run, "desk", state=tmp_path / "state")
    assert key.labels == frozenset()
    everything, _ = call("keys", "new", run, "chief", "--all-documents", "--json", "--state", tmp_path / "state")
    assert json.loads(everything)["labels"] is None
    assert (tmp_path / "state" / "traffic.sqlite").is_file()
    assert not (run / "serving").exists()
    with pytest.raises(UsageError, match="E7061"):
        rung.list_keys(run)


def test_drift_is_told_with_cause_numbers_and_next_step(run: Path, tmp_path: Path) -> None:
    served(run, longer=2.0)
    page, metrics = tmp_path / "page.html", tmp_path / "rung.prom"
    text, talk = call("monitor", run, "--html", page, "--metrics", metrics)
    assert "Questions are longer" in text
    assert "after correction" in text
    assert "Next:" in text
    assert str(page) in talk
    assert "rung_drift_alarms" in metrics.read_text()
    found = json.loads(call("monitor", run, "--json")[0])
    assert "input_longer" in {alarm["cause"] for alarm in found["alarms"]}
    html = page.read_text("utf-8")
    assert "Questions are longer" in html
    assert html.count("<svg") > 4
    assert not re.search(r"<script|https?://(?!www\.w3\.org)|url\(", html)
    assert not re.search(r"\b(nan|None|inf)\b", html)


def test_both_languages_say_the_same(run: Path) -> None:
    served(run, longer=2.0, fails=0.2)
    found = rung.monitor(run)
    assert len(found.alarms) >= 2
    english, chinese = (watch_text(found, language) for language in ("en", "zh"))  # type: ignore[arg-type]
    assert english.count("\n! ") == chinese.count("\n! ") == len(found.alarms)
    assert "问题变长了" in chinese
    assert 'lang="zh-Hans"' in watch_page(found, "zh")
    assert "{" not in english + chinese


def test_without_traffic_it_says_so(run: Path) -> None:
    with pytest.raises(UsageError, match="E7061"):
        rung.monitor(run)
    served(run, n=5)
    assert "Too little traffic" in call("monitor", run)[0]
    nothing = rung.monitor(run, since=f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}")
    assert "No traffic" in watch_text(nothing, "en")
    assert "No traffic" in watch_page(nothing, "en")


def test_every_cause_and_measure_has_its_words(run: Path) -> None:
    """Also those that this test's traffic does not show."""
    from rung.reporting.watch import _NEXT
    from rung.reporting.words import catalogue

    assert {key.removeprefix("watch.c_") for key in catalogue() if key.startswith("watch.c_")} == set(_NEXT)
    assert {key.removeprefix("watch.x_") for key in catalogue() if key.startswith("watch.x_")} == set(_NEXT.values())


def test_spans_of_time() -> None:
    assert span_of("90m") == timedelta(minutes=90)
    assert moment_of("2w", NOW) == NOW - timedelta(days=14)
    assert moment_of("2026-11-01", NOW) == datetime(2026, 11, 1, tzinfo=UTC)
    for wrong in ("", "7", "0d", "d7", "2026-13-01", "99999w9"):
        with pytest.raises(UsageError, match="E7062"):
            moment_of(wrong, NOW)
