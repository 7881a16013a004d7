"""One form for the inflections of an English word: book, books, booked, booking."""

from __future__ import annotations

_LEFT_DOUBLE = "lsz"


def stem(word: str) -> str:
    """The stem of an English word in lower case; any other text as it is. The form need not be a word.

    Steps 1 and 5 of Porter (1980, "An algorithm for suffix stripping"), which undo inflection. Suffixes that make another
    word (-ness, -ation; steps 2 to 4) stay: "relation" is not "relate".
    """
    if len(word) < 3 or not (word.isascii() and word.isalpha() and word.islower()):
        return word
    word = _past_or_progressive(_plural(word))
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    return _tidy(word)


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past_or_progressive(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    bare = word.removesuffix("ed") if word.endswith("ed") else word.removesuffix("ing")
    if bare == word or not _has_vowel(bare):
        return word
    if bare.endswith(("at", "bl", "iz")):
        return bare + "e"
    if bare[-1] == bare[-2:-1] and _shape(bare)[-1] == "c":
        return bare if bare[-1] in _LEFT_DOUBLE else bare[:-1]
    return bare + "e" if _measure(bare) == 1 and _is_short(bare) else bare


def _tidy(word: str) -> str:
    if word.endswith("e"):
        bare = word[:-1]
        measure = _measure(bare)
        if measure > 1 or (measure == 1 and not _is_short(bare)):
            word = bare
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


def _shape(word: str) -> str:
    """v for a vowel, c for a consonant; y is a vowel after a consonant."""
    found = ""
    for letter in word:
        found += "v" if letter in "aeiou" or (letter == "y" and found[-1:] == "c") else "c"
    return found


def _has_vowel(word: str) -> bool:
    return "v" in _shape(word)


def _measure(word: str) -> int:
    """How often a vowel is followed by a consonant: Porter's m."""
    return _shape(word).count("vc")


def _is_short(word: str) -> bool:
    """Ends in consonant, vowel, consonant, the last one not w, x or y: Porter's *o."""
    return _shape(word).endswith("cvc") and word[-1] not in "wxy"
