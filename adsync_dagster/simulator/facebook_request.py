"""One Graph API call after its path, parameters and token were taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.facebook_errors import bad_cursor, invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRequest:
    """What is asked of which node. `params` holds query and form together."""

    method: str
    #: Version text such as v26.0.
    version: str
    #: Path segments after the version.
    path: tuple[str, ...]
    params: Mapping[str, str]
    token: Token
    #: The instant whose truth is shown: now, or earlier for a lagging or stale answer.
    at: int
    #: Scheme and host for `paging.next`.
    origin: str

    @property
    def node(self) -> str:
        return self.path[0] if self.path else ""

    @property
    def edge(self) -> str | None:
        return self.path[1] if len(self.path) > 1 else None

    def flag(self, name: str) -> bool:
        """A boolean parameter as JSON or loose text."""
        return self.params.get(name, "").lower() in {"true", "1"}

    def limit(self, default: int) -> int:
        """The page size asked for."""
        text = self.params.get("limit", "")
        if not text:
            return default
        if not text.isdigit() or int(text) < 1:
            raise invalid("Param limit must be a positive number")
        return int(text)

    def json(self, name: str) -> Any:
        """A parameter that must be JSON; None when it is not there."""
        text = self.params.get(name, "")
        if not text:
            return None
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            raise invalid(f"Param {name} must be a valid JSON value") from None

    def words(self, name: str) -> list[str]:
        """A list given as JSON, as comma-separated text or as one bare word."""
        text = self.params.get(name, "").strip()
        if not text:
            return []
        if text[0] in '["':
            value = self.json(name)
            items = value if isinstance(value, list) else [value]
            return [str(item) for item in items]
        return [word.strip() for word in text.split(",") if word.strip()]

    def next_url(self, after: str, path: tuple[str, ...] | None = None) -> str:
        """The next page's URL, with every parameter in it, the token included, as Meta does."""
        params = {key: value for key, value in self.params.items() if key != "after"}
        params["access_token"] = self.token.value
        params["after"] = after
        where = "/".join((self.version, *(path or self.path)))
        return f"{self.origin}/{where}?{urlencode(params)}"


def encode_cursor(*parts: int) -> str:
    """An opaque cursor."""
    text = ":".join(str(part) for part in parts)
    return text.encode().hex().translate(_TO_LETTERS) + "ZD"


def decode_cursor(text: str, width: int) -> tuple[int, ...]:
    """The parts of a cursor of ours; GraphError 2642 for anything else."""
    try:
        plain = bytes.fromhex(text.removesuffix("ZD").translate(_TO_HEX)).decode()
        parts = tuple(int(part) for part in plain.split(":"))
    except ValueError:
        raise bad_cursor() from None
    if len(parts) != width or not text.endswith("ZD"):
        raise bad_cursor()
    return parts


_TO_LETTERS = str.maketrans("0123456789abcdef", "QAFVIUkmWxSpTeyn")
_TO_HEX = str.maketrans("QAFVIUkmWxSpTeyn", "0123456789abcdef")
