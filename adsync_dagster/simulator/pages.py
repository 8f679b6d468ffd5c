"""Rendered pages kept for repeated questions, so that a benchmark measures its client only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class PageCache:
    """Keeps the latest pages up to a number of bytes."""

    def __init__(self) -> None:
        self._pages: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> bytes | None:
        """The page, if it is kept."""
        page = self._pages.get(key)
        if page is not None:
            self._pages.move_to_end(key)
        return page

    def put(self, key: Hashable, page: bytes, bytes_max: int) -> None:
        """Keep a page, dropping the ones unused for longest."""
        if len(page) > bytes_max or key in self._pages:
            return
        self._pages[key] = page
        self._bytes += len(page)
        while self._bytes > bytes_max:
            _, dropped = self._pages.popitem(last=False)
            self._bytes -= len(dropped)
