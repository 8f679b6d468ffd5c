"""Takes a JSON array apart into its elements while it arrives.

Only brackets and strings are looked at; what an element holds is for whoever parses it. An
array that does not end where it should raises IncompleteRead: its last elements are missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from adsync_dagster.errors import IncompleteRead, TooMuchData

#: Up to the next bracket outside of a string. Possessive, so that a hostile body costs no time.
_NEXT_BRACKET = re.compile(
    rb'[^"\[\]{}]*+(?:"(?:[^"\\]|\\.)*+"[^"\[\]{}]*+)*+([\[\]{}])', re.DOTALL
)
_BLANK = b" \t\r\n"
_OPENING = frozenset(b"[{")


def elements_of(pieces: Iterable[bytes], bytes_max: int) -> Iterator[bytes]:
    """The text of each element of the array that the pieces add up to, as soon as it is whole.

    A body that is no array comes as the one and only element. Raises TooMuchData when an
    element is larger than `bytes_max`, IncompleteRead when the array is not whole.
    """
    splitter = _Splitter(bytes_max)
    for piece in pieces:
        yield from splitter.feed(piece)
    yield from splitter.end()


class _Splitter:
    """What is known of the array so far."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._buffer = bytearray()
        #: How far the buffer was looked through.
        self._seen = 0
        #: Looking again is not worth while before the buffer holds this much.
        self._wanted = 0
        self._depth = 0
        self._start = 0
        self._count = 0
        self._is_array: bool | None = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Take more of the body; gives the elements that are whole by now."""
        self._buffer += piece
        if self._is_array is None:
            head = self._buffer.lstrip(_BLANK)
            self._is_array = head.startswith(b"[") if head else None
        if self._is_array and len(self._buffer) >= self._wanted:
            yield from self._look()
        if len(self._buffer) > self._bytes_max:
            raise TooMuchData(f"a part of the answer is larger than {self._bytes_max} bytes")

    def end(self) -> Iterator[bytes]:
        """The body is over."""
        if not self._is_array:
            yield bytes(self._buffer)
            return
        yield from self._look()
        if self._depth or bytes(self._buffer).strip(_BLANK):
            raise IncompleteRead("the answer broke off")

    def _look(self) -> Iterator[bytes]:
        buffer = self._buffer
        while found := _NEXT_BRACKET.match(buffer, self._seen):
            between, self._seen = self._seen, found.end()
            opens = found[1][0] in _OPENING
            # The match holds on to the buffer, which is cut below.
            del found
            if opens:
                self._open(between)
            elif element := self._close(between):
                yield element
        rest = len(buffer) - self._seen
        self._wanted = len(buffer) + rest

    def _open(self, between: int) -> None:
        at = self._seen - 1
        if self._depth == 0 and self._count:
            raise IncompleteRead("the answer goes on after its end")
        if self._depth == 1:
            comma = b"," if self._count else b""
            if bytes(self._buffer[between:at]).strip(_BLANK) != comma:
                raise IncompleteRead("the elements of the answer do not follow each other")
            self._start = at
        self._depth += 1

    def _close(self, between: int) -> bytes:
        """The element that ends here, or nothing."""
        if self._depth == 0:
            raise IncompleteRead("the answer goes on after its end")
        self._depth -= 1
        if self._depth == 0 and bytes(self._buffer[between : self._seen - 1]).strip(_BLANK):
            raise IncompleteRead("the answer holds something between its elements")
        if self._depth > 1:
            return b""
        element = bytes(self._buffer[self._start : self._seen]) if self._depth else b""
        self._count += 1
        del self._buffer[: self._seen]
        self._seen = self._start = 0
        return element
