"""One Business API call taken apart, and the error that its envelope carries.

Lists and objects are JSON text in a query and JSON in a POST body; the shared HTTP layer gives
both as text. Python's `True` counts as a bool, as the official SDK sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from adsync_dagster.simulator.entities import SimAccount
from adsync_dagster.simulator.tiktok_settings import TikTokSettings


class TikTokError(Exception):
    """A code of the Business API. It travels as HTTP 200 unless a status is given."""

    def __init__(self, code: int, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def bad_parameter(message: str) -> TikTokError:
    """40002, the code for nearly everything a caller gets wrong."""
    return TikTokError(40002, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """What is asked, of which advertiser, with the truth of which instant."""

    method: str
    #: Such as `campaign/get`.
    name: str
    params: Mapping[str, str]
    at: int
    settings: TikTokSettings
    account: SimAccount | None = None

    def text(self, name: str) -> str:
        """A parameter that has to be there."""
        value = self.params.get(name, "")
        if not value:
            raise bad_parameter(f"{name}: Missing data for required field.")
        return value

    def json(self, name: str) -> Any:
        """A parameter in JSON text; None when it is not there."""
        text = self.params.get(name, "")
        if not text:
            return None
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            raise bad_parameter(f"{name}: Not valid JSON.") from None

    def words(self, name: str) -> list[str]:
        """A JSON list of texts; empty when it is not there."""
        value = self.json(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise bad_parameter(f"{name}: Not a list of strings.")
        return value

    def flag(self, name: str) -> bool:
        """A bool in any spelling that callers use."""
        return self.params.get(name, "").lower() in {"true", "1"}

    def number(self, name: str, default: int, largest: int) -> int:
        """A whole number from 1 to the largest allowed."""
        text = self.params.get(name, "")
        if not text:
            return default
        if not text.isdigit() or not 1 <= int(text) <= largest:
            raise bad_parameter(f"{name}: Must be between 1 and {largest}.")
        return int(text)

    def day(self, name: str) -> int:
        """A day as its ordinal."""
        try:
            return date.fromisoformat(self.text(name)).toordinal()
        except ValueError:
            raise bad_parameter(f"{name}: Not a valid date.") from None

    def page(self, rows: list[Any]) -> dict[str, Any]:
        """The page of rows that is asked for, with its page_info."""
        number = self.number("page", 1, 1_000_000)
        size = self.number("page_size", self.settings.page_size, self.settings.page_size_max)
        start = (number - 1) * size
        info = {
            "page": number,
            "page_size": size,
            "total_number": len(rows),
            "total_page": -(-len(rows) // size) if rows else self.settings.empty_total_page,
        }
        return {"list": rows[start : start + size], "page_info": info}

    @property
    def advertiser(self) -> SimAccount:
        """The advertiser that the call names."""
        if self.account is None:
            raise bad_parameter("advertiser_id: Missing data for required field.")
        return self.account
