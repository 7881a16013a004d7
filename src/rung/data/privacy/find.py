"""Personal data in one text: every finder asked, and one finding kept where several share characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from rung.core.task import Language
from rung.data.privacy.cards import find_cards
from rung.data.privacy.chinese_addresses import find_chinese_addresses
from rung.data.privacy.chinese_names import find_chinese_names
from rung.data.privacy.codes import find_codes
from rung.data.privacy.credentials import find_credentials
from rung.data.privacy.dates import find_dates
from rung.data.privacy.english_addresses import find_english_addresses
from rung.data.privacy.english_names import find_english_names
from rung.data.privacy.found import Finder, Found, View
from rung.data.privacy.ids import find_ids
from rung.data.privacy.kinds import kinds, wanted
from rung.data.privacy.network import find_network
from rung.data.privacy.organisations import find_organisations
from rung.data.privacy.phones import find_phones

_FINDERS: tuple[tuple[Finder, frozenset[str], Language | None], ...] = (
    (find_credentials, frozenset({"private_key", "jwt", "api_key", "password"}), None),
    (find_network, frozenset({"email", "url", "private_url", "ip"}), None),
    (find_ids, frozenset({"id_card", "passport", "permit", "ssn"}), None),
    (find_cards, frozenset({"bank_card", "iban"}), None),
    (find_codes, frozenset({"credit_code", "plate", "wechat", "qq"}), None),
    (find_phones, frozenset({"phone", "landline"}), None),
    (find_dates, frozenset({"birth_date", "age"}), None),
    (find_chinese_addresses, frozenset({"address"}), "zh"),
    (find_english_addresses, frozenset({"address"}), "en"),
    (find_organisations, frozenset({"organisation"}), None),
    (find_chinese_names, frozenset({"person"}), "zh"),
    (find_english_names, frozenset({"person"}), "en"),
)
# What a mask leaves behind: [PHONE_3]; 138******00, where the digits that are left belong to it too.
_TAG = re.compile(r"\[[A-Z][A-Z_]{1,20}_\d+\]")
_STARS = re.compile(r"\*{2,}")
_FIELD = re.compile(
    r"name|phone|mobile|tel|email|mail|address|card|passport|password|token|key|birth|wechat|qq|ssn|contact|"
    r"姓名|名字|电话|手机|邮箱|地址|卡号|身份证|护照|密码|车牌|微信|联系|客户|收件人|出生",
    re.IGNORECASE,
)
_FIELD_LONGEST = 80
"""Characters up to which a text is taken for the value of its field; a longer one speaks for itself."""


def find_personal(
    text: str, kinds: Sequence[str] | None = None, language: Language | None = None, *, field: str = ""
) -> list[Found]:
    """Personal data in a text, in order, no two sharing a character.

    `kinds`: names from `kinds.json`, ['all'], or None for the usual ones. `language`: leave out the finders of the other
    language's names and addresses; both are asked by default. `field`: the name of the column that holds the text, which
    may say what a short one is. What a mask left behind is never found again. Raises UsageError E2910 for an unknown kind.
    """
    asked = wanted(None if kinds is None else tuple(kinds))
    if field and len(text) <= _FIELD_LONGEST and _FIELD.search(field):
        mark = "：" if View.of(field).han else ": "
        lead = f"{field}{mark}"
        shifted = _find(lead + text, asked, language)
        return [
            Found(hit.start - len(lead), hit.end - len(lead), hit.kind, hit.text, hit.sure)
            for hit in shifted
            if hit.start >= len(lead)
        ]
    return _find(text, asked, language)


def _find(text: str, asked: frozenset[str], language: Language | None) -> list[Found]:
    view = View.of(text)
    if len(text) < 2 or not (view.digits or view.han or view.letters):
        return []
    looked_for = _looked_for(asked)
    hits: list[Found] = []
    for finder, gives, speaks in _FINDERS:
        if not looked_for.isdisjoint(gives) and (speaks is None or language is None or speaks == language):
            hits += [hit for hit in finder(view) if hit.kind in looked_for]
    if not hits:
        return []
    masks = [hit.span() for hit in _TAG.finditer(text)]
    masks += [(hit.start() - 1, hit.end() + 1) for hit in _STARS.finditer(text)]
    clear = [hit for hit in hits if all(hit.end <= start or hit.start >= end for start, end in masks)]
    return [
        Found(hit.start, hit.end, hit.kind, text[hit.start : hit.end], hit.sure)
        for hit in _apart(clear)
        if hit.kind in asked
    ]


@cache
def _looked_for(asked: frozenset[str]) -> frozenset[str]:
    """The kinds asked for, and those usual ones that go before them: an ID card's number is no phone, whoever asks."""
    lowest = min((kinds()[name].priority for name in asked), default=0)
    return asked | {name for name in wanted(None) if kinds()[name].priority > lowest}


def _apart(hits: Iterable[Found]) -> list[Found]:
    """One of those that share characters: the kind of higher priority, else the longer one, else the first."""
    ranked = sorted(hits, key=lambda hit: (-kinds()[hit.kind].priority, hit.start - hit.end, hit.start))
    kept: list[Found] = []
    for hit in ranked:
        if all(hit.end <= other.start or hit.start >= other.end for other in kept):
            kept.append(hit)
    return sorted(kept, key=lambda hit: hit.start)
