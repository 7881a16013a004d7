"""Addresses in English and the languages of Europe: a number with a street, post boxes, and what an address cue announces."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rung.data.privacy.found import Found, View

_NUMBER = r"\d{1,6}[A-Za-z]?(?:[-/]\d{1,4}[A-Za-z]?)?"
_NAME = r"(?:[^\W\d_a-zß-öø-ÿ][\w'’.-]*|of|de|du|des|la|le|les|van|von|der|den|di|da|do|del|and|St\.)"
_TYPE = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Drive|Dr|Lane|Ln|Boulevard|Blvd|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Way|Close|Crescent|Cres|Highway|Hwy|"
    r"Parkway|Pkwy|Circle|Cir|Trail|Alley|Row|Mews|Quay|Pike|Loop|Grove|Gardens|Hill|Walk|Plaza)"
)
_ROUTE = r"(?:Rue|Avenue|Boulevard|Place|Chemin|Via|Viale|Vicolo|Corso|Piazza|Strada|Calle|Avda\.?|Avenida|Plaza|Paseo|Rua|Travessa|ul\.|al\.|Rúa|Carrer)"
_COMPOUND = r"[^\W\d_]{2,24}(?:stra(?:ß|ss)e|str\.|gasse|weg|platz|allee|damm|ufer|laan|straat|gracht|plein|gatan|vägen|gränd|gade|vej|vei|veien|gata|katu|tie|kuja|utca)"
_UNIT = r"(?:(?:,? ?\n ?|,? )(?:Suite|Ste\.?|Apt\.?|Apartment|Unit|Flat|Floor|Fl\.?|Room|Rm\.?|Box|#) ?#?[0-9A-Z][\w-]{0,6}){0,3}"
# A place, a state or country and a postal code after the street, each on its line or after a comma.
_TOWN = r"(?:(?:,? ?\n ?|, )[^\W\d_a-zß-öø-ÿ][\w'’-]*(?: [^\W\d_a-zß-öø-ÿ][\w'’-]*){0,3})"
_REST = rf"{_UNIT}(?:{_TOWN}(?:,? ?[A-Z]{{2,3}})?(?:,? ?\n?,? ?[A-Z]{{0,2}}\d{{4,6}}(?:-\d{{4}})?\b)?(?:{_TOWN}(?: \d{{4,6}}\b)?)?)?"
_STREETS = re.compile(
    rf"(?<![\w.,#-])(?:{_NUMBER} (?:\d{{1,5}} )?(?:{_NAME} ){{1,4}}{_TYPE}\b\.?{_REST}"
    rf"|(?:\d{{1,6}} )?(?:{_COMPOUND}) {_NUMBER}\b{_REST}"
    rf"|{_NUMBER},? {_ROUTE}(?: {_NAME}){{1,4}}(?: \d{{1,5}})?\b{_REST}"
    rf"|{_ROUTE}(?: {_NAME}){{1,4}},? {_NUMBER}\b{_REST})"
)
_BOX = re.compile(
    r"(?<![\w.-])(?:(?:PSC|CMR|Unit|USN?S|USCGC|USCG) \w+(?:,? Box \d+)?\s+(?:APO|FPO|DPO),? (?:AA|AE|AP)(?: \d{5}(?:-\d{4})?)?|P\.? ?O\.? Box \d+(?:, [^\W\d_]+(?: [^\W\d_]+)?(?:,? [A-Z]{2})?(?: \d{5})?)?)",
    re.IGNORECASE,
)
_CUE = re.compile(
    r"\b(?:(?:home |mailing |billing |shipping |street |postal |new |current )?address(?:es)?(?: is| to(?: the same)?|\s*:)|located at|"
    r"(?:live[sd]?|living|reside[sd]?|moved) (?:in|at|to)|(?:sent|ship|shipped|deliver(?:ed)?|mail(?:ed)?) to|meet (?:you|me|us) at|(?=the corner of))(?:\s*:)?\s+",
    re.IGNORECASE,
)
_STOP = re.compile(
    r"[.!?](?= +(?i:i|we|it|my|he|she|they|you|the|this|please|thanks?|our|there)\b)|(?<=[^\W\d_]{3})[.!?](?=\s+[A-Z]|\s*$)|(?<=\d)[.!?](?=\s+[A-Z][a-z]+ [a-z]|\s*$)|\n\n|[;!?]|\.\s*$| (?:after|before|last|next|this|on|by|with|from|since|as|until|every|near|which|who|again|for|because|please|so|when|where|but|office|fax)\b|\n(?=[A-Z][a-z-]+:)|\n\+?[\d(]+[ .()-]"
)
_HOUSE = re.compile(r"(?<!\S)\d{1,6}[A-Za-z]?\b")
_CAPITAL = re.compile(r"[^\W\d_a-zß-öø-ÿ]\w+")
_LIKELY = re.compile(r"\d")
_LONGEST = 140


def find_english_addresses(view: View) -> Iterator[Found]:
    if not view.letters or not view.digits:
        return
    for hit in _BOX.finditer(view.text):
        yield view.found(*hit.span(), "address", 0.95)
    for hit in _STREETS.finditer(view.text):
        if "Example Street" not in hit.group():
            end = hit.start() + len(hit.group().rstrip(" ,\n"))
            yield view.found(hit.start(), end, "address", 0.85 if hit.group()[0].isdigit() else 0.75)
    if not view.has(
        "address", "located", "liv", "reside", "moved", "sent", "ship", "deliver", "mail", "meet", "corner"
    ):
        return
    for cue in _CUE.finditer(view.text):
        yield from _announced(view, cue.end())


def _announced(view: View, start: int) -> Iterator[Found]:
    """What follows an address cue up to the end of its sentence or line, where a house number and a name are in it."""
    stop = _STOP.search(view.text, start, start + _LONGEST)
    end = stop.start() if stop else min(len(view.text), start + _LONGEST)
    piece = view.text[start:end].rstrip(" ,.\n")
    number = _HOUSE.search(piece)
    if number is None or len(piece) < 8 or "Example Street" in piece:
        return
    words = [word for word in _CAPITAL.findall(piece) if not word.isdigit()]
    if words or piece == piece.lower():
        begins = number.start() < 30
        if begins and not re.match(
            r"\d{1,2} (?:rooms?|years?|days?|people|hours?|minutes?|of)\b", piece[number.start() :]
        ):
            yield view.found(start, start + len(piece), "address", 0.7)
