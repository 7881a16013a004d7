"""Keys: made, found by their secret, listed and taken back. Only the SHA-256 of a secret is ever stored."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, insert, select, update

from rung.core.errors import UsageError
from rung.store.traffic.engines import Engines
from rung.store.traffic.records import SCOPES, Key, new_id
from rung.store.traffic.tables import key_from, key_row, keys, traces

_SECRET = re.compile(r"rung-[A-Za-z0-9_-]{43}", re.ASCII)
_NOBODY = "0" * 64
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Quota:
    """What a key may use; None: as much as it likes."""

    requests_per_minute: int | None = None
    tokens_per_day: int | None = None


def hash_secret(secret: str) -> str:
    """A secret has 256 random bits, so that a plain hash of it cannot be tried out."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def make_key(
    engines: Engines,
    name: str,
    *,
    tenant: str,
    scopes: Iterable[str],
    labels: Collection[str] | None,
    quota: Quota,
    expires: datetime | None,
) -> tuple[Key, str]:
    """Raises UsageError E7056 for a name, tenant, scope, quota or end that cannot be."""
    wanted, now = frozenset(scopes), datetime.now(UTC)
    if not 0 < len(name.strip()) <= _LONGEST_NAME or not name.isprintable():
        raise UsageError("E7056", what="name", value=name, allowed=f"1-{_LONGEST_NAME}")
    if not tenant.strip() or not tenant.isprintable():
        raise UsageError("E7056", what="tenant", value=tenant, allowed=f"1-{_LONGEST_NAME}")
    if not wanted or (unknown := wanted.difference(SCOPES)):
        raise UsageError(
            "E7056", what="scope", value=", ".join(sorted(unknown)) if wanted else "", allowed=", ".join(SCOPES)
        )
    for what in ("requests_per_minute", "tokens_per_day"):
        if (limit := getattr(quota, what)) is not None and limit < 1:
            raise UsageError("E7056", what=what, value=limit, allowed=">= 1")
    if expires is not None and (expires.tzinfo is None or expires <= now):
        raise UsageError("E7056", what="expires", value=expires.isoformat(), allowed=f"> {now:%Y-%m-%d %H:%M} UTC")
    secret = f"rung-{secrets.token_urlsafe(32)}"
    key = Key(
        id=new_id("key"),
        name=name.strip(),
        tenant=tenant.strip(),
        scopes=wanted,
        labels=None if labels is None else frozenset(labels),
        requests_per_minute=quota.requests_per_minute,
        tokens_per_day=quota.tokens_per_day,
        created=now,
        expires=expires,
    )
    with engines.keep() as connection:
        connection.execute(insert(keys), key_row(key, hash_secret(secret)))
    return key, secret


def find_key(engines: Engines, secret: str, now: datetime) -> Key | None:
    """The valid key with this secret. No secret, a wrong, a revoked, an expired and a damaged one all give None, after the same work."""
    well_formed = len(secret) < 100 and _SECRET.fullmatch(secret) is not None
    wanted = hash_secret(secret if well_formed else "")
    with engines.reading.connect() as connection:
        row = connection.execute(select(keys).where(keys.c.secret_hash == wanted)).mappings().first()
    same = hmac.compare_digest(wanted, row["secret_hash"] if row else _NOBODY)
    if row is None or not same or not well_formed:
        return None
    key = key_from(row)
    return key if key is not None and key.valid(now) else None


def list_keys(engines: Engines) -> dict[str, Key | None]:
    """Every key by its id, the oldest first; None for a damaged one."""
    with engines.reading.connect() as connection:
        rows = connection.execute(select(keys).order_by(keys.c.id)).mappings()
        return {row["id"]: key_from(row) for row in rows}


def revoke_key(engines: Engines, id: str, now: datetime) -> Key:
    """Raises UsageError E7057 where there is no such key, or a damaged one. A key that was revoked before keeps its time."""
    with engines.keep() as connection:
        row = connection.execute(select(keys).where(keys.c.id == id)).mappings().first()
        key = None if row is None else key_from(row)
        if row is None or key is None:
            raise UsageError("E7057", key=id)
        if key.revoked is None:
            key = replace(key, revoked=now)
            known = key_row(key, row["secret_hash"])
            connection.execute(update(keys).where(keys.c.id == id).values(revoked=now, checksum=known["checksum"]))
    return key


def spent(engines: Engines, key: str, since: datetime) -> int:
    """Tokens, read and written, of a key's answers since then."""
    total = func.coalesce(func.sum(traces.c.tokens_in + traces.c.tokens_out), 0)
    with engines.reading.connect() as connection:
        return int(connection.execute(select(total).where(traces.c.key == key, traces.c.at >= since)).scalar_one())


def in_days(days: float | None, now: datetime | None = None) -> datetime | None:
    """The moment so many days from now."""
    return None if days is None else (now or datetime.now(UTC)) + timedelta(days=days)
