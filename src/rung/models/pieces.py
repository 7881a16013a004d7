"""An answer's tokens made into text as they come: whole characters, nothing from a stop string on, no blanks around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
_BROKEN = "\ufffd"
"""What a decoder writes for bytes that are no character yet."""


class Pieces:
    """The text of one answer. What `add` and `end` give out, joined, is `text`.

    `decode` makes text of token ids. Only a few of the last tokens are decoded anew each time, so that long answers cost no more
    a token than short ones.
    """

    def __init__(self, decode: Decode, stop: Sequence[str] = ()) -> None:
        self.text = ""
        self.stopped = False
        """A stop string has come: what follows is not part of the answer."""
        self.tokens: list[int] = []
        self._decode = decode
        self._stop = tuple(mark for mark in stop if mark)
        self._raw = ""
        self._before, self._read = 0, 0

    def add(self, tokens: Sequence[int]) -> str:
        """Take tokens in; the text that is certain now and was not before."""
        piece = ""
        # One at a time: where an answer stops must not depend on how many tokens came together.
        for token in tokens:
            if self.stopped:
                break
            self.tokens.append(token)
            piece += self._take()
        return piece

    def end(self, *, cut: bool = False) -> str:
        """No more tokens will come; the rest of the text. `cut`: the length limit ended it, perhaps within a character."""
        if not self.stopped:
            whole = self._decode(self.tokens)
            # Decoders that look at neighbours may write the whole differently; what was given out stays.
            self._raw = whole if whole.startswith(self._raw) else self._raw
            if cut:
                self._raw = self._raw.removesuffix(_BROKEN)
        return self._give(self._raw)

    def _take(self) -> str:
        known = self._decode(self.tokens[self._before : self._read])
        found = self._decode(self.tokens[self._before :])
        if len(found) <= len(known) or found.endswith(_BROKEN):
            return ""
        self._raw += found[len(known) :]
        self._before, self._read = self._read, len(self.tokens)
        places = [place for mark in self._stop if (place := self._raw.find(mark)) >= 0]
        if places:
            self.stopped = True
            self._raw = self._raw[: min(places)]
            return self._give(self._raw)
        return self._give(self._raw[: len(self._raw) - self._perhaps_stop()])

    def _perhaps_stop(self) -> int:
        """Characters at the end with which a stop string may have begun."""
        longest = max(map(len, self._stop), default=1) - 1
        for n in range(min(longest, len(self._raw)), 0, -1):
            tail = self._raw[-n:]
            if any(mark.startswith(tail) for mark in self._stop):
                return n
        return 0

    def _give(self, certain: str) -> str:
        shown = certain.strip()
        piece = shown[len(self.text) :]
        self.text += piece
        return piece


def written(decode: Decode, tokens: Sequence[int], stop: Sequence[str] = (), *, cut: bool = False) -> str:
    """The text of an answer that is there whole."""
    if not stop:
        text = decode(tokens)
        return (text.removesuffix(_BROKEN) if cut else text).strip()
    pieces = Pieces(decode, stop)
    pieces.add(tokens)
    pieces.end(cut=cut)
    return pieces.text
