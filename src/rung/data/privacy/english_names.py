"""Names in English text, whatever land they are from: titles, cues, capitals, a list of frequent names and their endings.

Without a model this stays a guess: a name in small letters without a cue is missed, and a title of a song may be taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rung.data.privacy.found import Found, View

_WORD = re.compile(r"[^\W\d_\u3400-\u9fff]+(?:['’`-][^\W\d_\u3400-\u9fff]+)*")
_HAN = re.compile(r"[\u3400-\u9fff]")
_TITLE = re.compile(
    r"\b(?:mr|mrs|ms|miss|mx|dr|prof|professor|sir|madam|madame|mister|herr|frau|señor|señora|monsieur)\b\.? {1,2}$",
    re.IGNORECASE,
)
_CUE = re.compile(
    r"(?:\bname(?: is|:| -|\?)|\bnames? (?:are|were)|\b[iI](?:'|’)m|\bI am|\bthis is|\bcall(?:s|ed)? (?:me|him|her)|\bnamed|\bcalled|\bsigned(?: by)?:?|\b(?:contact|customer|patient|client|"
    r"user|employee|applicant|tenant|guest|driver|attn|from|to|cc|author|recipient|sender|owner|holder|guardian|spouse|manager|doctor|witness):|"
    r"\bpartner's name|\b(?:hi|hello|hey|dear)|\b(?:regards|sincerely|cheers|thanks|best),[ \t]*\n)\s*$",
    re.IGNORECASE,
)
# Something that only people do, or are, follows or goes before.
_VERB = re.compile(
    r"(?:,? (?:said|says|told|asked|replied|wrote|writes|began|listed|flew|moved|lives?|lived|works?|worked|called|calls|speaks?|spoke|will be (?:talking|speaking)|talks|thinks?|"
    r"smiled|laughed|signed|joined|married|died|was born|retired|has been|is (?:a|the|my|our|from|an?) |was (?:a|the) |has to|employs|speak\b|concert|novel)|['’]s\b|, (?:can|could|please|thanks|who|you|I|aged|age)\b| from [A-Z]|\n|$|,$|\.$)"
)
_BY = re.compile(
    r"(?:\b(?:by|with|between|said|says|meet|met|with|starring|featuring|features|ask|asked|told|tell|songwriter|commenter|him and|her and|professor|colleague|friend|husband|wife|brother|sister|son|daughter|mother|father|heard|gender of)) $",
    re.IGNORECASE,
)
# A single word after these, or before those, is a person whatever the word.
_TELLS = re.compile(
    r"\b(?:said|says|replied|asked|told|starring|co-starring|calls? me|named|congratulations|yours,) $", re.IGNORECASE
)
_TOLD = re.compile(
    r", (?:can|could|would|will|please|thank|thanks|what|when|where|why|how|do|did|have|are|is)\b|['’]s (?:son|daughter|wife|husband|mother|father|kid|birthday|brother|sister)\b"
)
_ORGANISED = re.compile(
    r"[ ,]*\b(?:Inc|Ltd|LLC|LLP|PLC|Corp|Corporation|Company|Group|GmbH|Technologies|Software|Systems|Solutions|Consulting|Research|Bank|Foundation|Institute|University|College|School|Hospital|Hotel|Airport|"
    r"Street|St|Avenue|Ave|Road|Rd|Drive|Lane|Boulevard|Court|Place|Square|Park|Club|Award|Prize|Act|County|City|Bridge|Station|Street|Building|Center|Centre|River|Lake|Weekly|Times|Post|Capital|Associates|Partners|Holdings|Agency)\b"
)
_PLACE_BEFORE = re.compile(
    r"\b(?:in|at|near|to|from|visit|visiting|leaving|towards|via|around) (?:the )?$|\b(?:university|city|town|state|republic|kingdom) of $",
    re.IGNORECASE,
)
_PARTICLES = frozenset(
    [
        "van",
        "von",
        "de",
        "der",
        "den",
        "del",
        "della",
        "di",
        "da",
        "dos",
        "das",
        "du",
        "la",
        "le",
        "bin",
        "ibn",
        "al",
        "el",
        "ter",
        "ten",
        "zu",
    ]
)
# Endings of family names in many languages.
_ENDING = re.compile(
    r".{2,}(?:sen|sson|son|dóttir|dottir|sdottir|ov|ova|ev|eva|yov|ski|ska|sky|cki|cka|wicz|vić|vic|vich|ić|ič|čić|escu|opoulos|idis|akis|yan|ian|shvili|dze|nen|lainen|berg|ström|strom|lund|qvist|quist|gren|mann|stein|"
    r"elli|etti|ini|ucci|acci|ello|ano|ez|ães|eira|inho|kov|nov|chuk|enko|ák|ík|ová|ný|ský|szky|ffy|hardt|meier|meyer|bauer|huber|son|man|ton|ley|field|worth|shaw|well)$"
)
_PREFIX = re.compile(r"(?:Mc|Mac|O['’]|D['’]|Fitz)[A-Z]")


@dataclass(frozen=True)
class _Lists:
    given: frozenset[str]
    family: frozenset[str]
    ordinary: frozenset[str]


@cache
def _lists() -> _Lists:
    listed = json.loads(Path(__file__).with_name("english_names.json").read_text("utf-8"))
    return _Lists(*(frozenset(listed[name].split()) for name in ("given", "family", "not_names")))


def find_english_names(view: View) -> Iterator[Found]:
    if not view.letters:
        return
    if view.text == view.low:
        yield from _small(view)
        return
    for run in _runs(view.text):
        found = _judge(view, run)
        if found is not None:
            yield found


def _runs(text: str) -> Iterator[list[re.Match[str]]]:
    """Words with capitals that follow each other, with initials and particles between them."""
    run: list[re.Match[str]] = []
    waiting: list[re.Match[str]] = []
    end = 0
    for word in _WORD.finditer(text):
        gap = text[end : word.start()]
        joined = gap in {" ", "  "} or (gap in {". ", "."} and run and end - run[-1].start() == 1)
        if not joined and run:
            yield run
            run, waiting = [], []
        if word.group()[0].isupper():
            if run:
                run += waiting
            run.append(word)
            waiting = []
        elif run and word.group() in _PARTICLES:
            waiting.append(word)
        elif run:
            yield run
            run, waiting = [], []
        end = word.end()
    if run:
        yield run


def _judge(view: View, run: list[re.Match[str]]) -> Found | None:
    lists = _lists()
    while (
        run
        and (run[0].group().lower() in lists.ordinary or _bare(run[0].group()) in lists.ordinary)
        and not _listed(run[0].group(), lists, run)
    ):
        run = run[1:]
    while run and run[-1].group().lower() in lists.ordinary and run[-1].group().lower() not in lists.family:
        run = run[:-1]
    if not run or len(run) > 6 or any(_inner(word.group(), lists) for word in run[1:-1]):
        return None
    start, end = run[0].start(), run[-1].end()
    words = [word.group() for word in run]
    if words[-1][-2:] in {"'s", "’s"}:
        end -= 2
        words[-1] = words[-1][:-2]
    text = view.text
    if _ORGANISED.match(text, end) or (text[end : end + 1] in "@/" and text[end : end + 1]):
        return None
    if text[start - 1 : start] in {'"', "“"} and text[end : end + 1] in {'"', "”"} and len(run) > 1:
        return None
    if _HAN.match(text, end) or text[start - 1 : start] in {"@", "/", "#", "."}:
        return None
    sure = _evidence(view, words, start, end, lists)
    return view.found(start, end, "person", sure) if sure >= 0.5 else None


def _listed(word: str, lists: _Lists, run: list[re.Match[str]]) -> bool:
    """ "Grace Hill" begins with a name although both are words; "Will" at the start of a question does not."""
    low = word.lower()
    return len(run) > 1 and low in lists.given and low not in {"will", "may", "mark", "christian"}


def _bare(word: str) -> str:
    return word.lower().replace("’", "'")


def _inner(word: str, lists: _Lists) -> bool:
    low = word.lower()
    return (
        low in lists.ordinary
        and low not in lists.given
        and low not in lists.family
        and len(word) > 1
        and low not in _PARTICLES
    )


def _evidence(view: View, words: list[str], start: int, end: int, lists: _Lists) -> float:
    """0 to 1: how much speaks for a name."""
    full = [word for word in words if len(word) > 1 and word.lower() not in _PARTICLES]
    if not full or words[-1] in {"Doe", "Roe"}:
        return 0.0
    shouted = all(word.isupper() and len(word) > 2 for word in full)
    if view.before(_TITLE, start, 14):
        return 0.95
    if view.before(_CUE, start, 28) and not shouted and not any(word.lower() in lists.ordinary for word in full):
        return 0.9
    if shouted:
        return 0.0
    given = words[0].lower() in lists.given
    family = words[-1].lower() in lists.family or bool(_ENDING.fullmatch(words[-1]) or _PREFIX.match(words[-1]))
    if len(full) > 1:
        if given or (family and words[0].lower() not in lists.ordinary):
            return 0.9 if given and family else 0.75
        if any(len(word) == 1 for word in words[1:-1]) or any(word in _PARTICLES for word in words):
            return 0.75
    elif len(words) > 1 and len(words[0]) == 1:
        return 0.6 if family else 0.0
    if view.before(_PLACE_BEFORE, start, 24):
        return 0.0
    follows, precedes = view.after(_VERB, end, 24), view.before(_BY, start, 20)
    if len(full) > 1 and not any(word.lower() in lists.ordinary for word in full):
        opens = start == 0 or view.text[start - 1] in '\n"“'
        return 0.6 if follows or precedes or opens else 0.0
    if len(words) == 1 and words[0].lower() not in lists.ordinary:
        alone = start == 0 or view.text[start - 1] in "\n"
        if view.before(_TELLS, start, 20) or (alone and view.after(_TOLD, end, 16)):
            return 0.6
    if given or family:
        return 0.55 if follows or precedes else 0.0
    return 0.0


_SMALL = re.compile(
    r"(?:\bmy name is|\bname:|\b(?:mr|mrs|ms|dr)\.) +(?P<name>[^\W\d_]{2,}(?: [^\W\d_]\.?(?= ))?(?: [^\W\d_]{2,})?)(?=\s*(?:$|[\n,.;!?]| and | but | flew ))"
)


def _small(view: View) -> Iterator[Found]:
    """Names in small letters, where nothing but a name can follow."""
    if not view.has("name", "mr.", "mrs.", "ms.", "dr."):
        return
    for hit in _SMALL.finditer(view.text):
        if hit["name"].split()[0] not in _lists().ordinary:
            yield view.found(*hit.span("name"), "person", 0.6)
