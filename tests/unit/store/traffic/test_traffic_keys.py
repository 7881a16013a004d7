"""Keys: shown once, kept as a hash, found by nothing but the whole secret, and gone when they are revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from traffic_store import START, a_trace, bytes_of

from rung.core.errors import UsageError
from rung.store.traffic.database import Traffic


def test_a_key_is_found_by_its_secret_and_the_secret_is_nowhere(traffic: Traffic, tmp_path: Path) -> None:
    key, secret = traffic.new_key(
        "desk",
        tenant="north",
        scopes=["answer", "metrics"],
        labels=["staff"],
        requests_per_minute=60,
        tokens_per_day=5_000_000_000,
        expires=datetime.now(UTC) + timedelta(days=3),
    )
    assert len(secret) == 48
    assert secret.startswith("rung-")
    assert traffic.find_key(secret) == key
    assert traffic.keys() == [key]
    assert secret not in repr(key)
    assert secret.encode() not in bytes_of(tmp_path)


def test_labels_tell_everything_from_nothing(traffic: Traffic) -> None:
    _, everything = traffic.new_key("operator", labels=None)
    _, nothing = traffic.new_key("stranger")
    found = [traffic.find_key(secret) for secret in (everything, nothing)]
    assert [key.labels if key else "lost" for key in found] == [None, frozenset()]


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "rung-",
        "' OR 1=1--",
        "rung-" + "A" * 43,
        "rung-" + "A" * 42 + "\0",
        "rung-\ud83d" + "A" * 42,
        "x" * 1_000_000,
    ],
)
def test_no_other_text_is_a_secret(traffic: Traffic, secret: str) -> None:
    traffic.new_key("desk")
    assert traffic.find_key(secret) is None


def test_the_secret_is_wanted_whole(traffic: Traffic) -> None:
    _, secret = traffic.new_key("desk")
    for wrong in (secret[:-1], secret + "A", secret.upper(), " " + secret, secret.removeprefix("rung-")):
        assert traffic.find_key(wrong) is None


def test_a_revoked_key_is_no_key_and_keeps_the_time(traffic: Traffic, address: str | Path) -> None:
    key, secret = traffic.new_key("desk")
    with Traffic.open(address) as other:
        revoked = other.revoke_key(key.id)
    assert traffic.find_key(secret) is None
    assert traffic.revoke_key(key.id) == revoked
    with pytest.raises(UsageError, match="E7057"):
        traffic.revoke_key("key-unknown")


def test_an_expired_key_is_no_key(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = traffic.new_key("desk", expires=datetime.now(UTC) + timedelta(hours=1))

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(hours=2)

    assert traffic.find_key(secret) is not None
    monkeypatch.setattr("rung.store.traffic.database.datetime", Later)
    assert traffic.find_key(secret) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"name": "a\nb"},
        {"name": "a", "tenant": ""},
        {"name": "a", "scopes": []},
        {"name": "a", "scopes": ["everything"]},
        {"name": "a", "requests_per_minute": 0},
        {"name": "a", "tokens_per_day": -1},
        {"name": "a", "expires": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_key_that_cannot_be_is_not_made(traffic: Traffic, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="E7056"):
        traffic.new_key(**wrong)  # type: ignore[arg-type]
    assert traffic.keys() == []


def test_what_a_key_has_spent_is_counted_from_a_moment_on(traffic: Traffic) -> None:
    traffic.add_traces([a_trace(n, key="key-1", tokens_in=100 + n, tokens_out=1) for n in range(3)])
    traffic.add_traces([a_trace(2, key="key-2", tokens_in=7000)])
    assert traffic.spent("key-1", START) == 306
    assert traffic.spent("key-1", START + timedelta(minutes=1)) == 205
    assert traffic.spent("key-3", START) == 0


@pytest.mark.parametrize(
    "change",
    [
        "scopes = '[\"admin\"]'",
        "labels = 'null'",
        "tenant = 'south'",
        "requests_per_minute = NULL",
        "expires = NULL",
        "revoked = NULL",
        "scopes = 'no json'",
        "checksum = 1",
    ],
)
def test_a_key_that_a_disk_has_changed_lets_nobody_in_and_is_named(traffic: Traffic, change: str) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    key, secret = traffic.new_key("desk", tenant="north", requests_per_minute=3, expires=soon)
    whole, other = traffic.new_key("other")
    if change.startswith("revoked"):
        key = traffic.revoke_key(key.id)
    with traffic._engines.keep() as connection:
        connection.execute(text(f"UPDATE rung_keys SET {change} WHERE id = '{key.id}'"))
    assert traffic.find_key(secret) is None
    assert traffic.find_key(other) == whole
    assert traffic.trouble is None
    assert traffic.keys() == [whole]
    assert traffic.trouble is not None
    assert key.id in traffic.trouble.message()
    with pytest.raises(UsageError, match="E7057"):
        traffic.revoke_key(key.id)


def test_a_key_of_the_time_before_sums_is_good(traffic: Traffic) -> None:
    key, secret = traffic.new_key("desk")
    with traffic._engines.keep() as connection:
        connection.execute(text("UPDATE rung_keys SET checksum = NULL"))
    assert traffic.find_key(secret) == key
    assert traffic.revoke_key(key.id).revoked is not None
    assert traffic.find_key(secret) is None
