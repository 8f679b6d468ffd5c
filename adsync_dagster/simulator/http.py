"""The HTTP words that all simulated wires share: calls, answers, and transports that break."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl

import orjson

JSON_TYPE = "application/json; charset=UTF-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request. Header names are lower-case; `params` holds query and form together."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def origin(self) -> str:
        """Scheme and host as the caller spelled them."""
        return f"http://{self.headers.get('host', '127.0.0.1')}"


@dataclass(slots=True)
class Answer:
    """One HTTP response before it is encoded. `raw` wins over `payload`."""

    status: int
    payload: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None

    def encode(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body bytes."""
        body = self.raw if self.raw is not None else orjson.dumps(self.payload)
        headers = {"Content-Type": JSON_TYPE, **self.headers}
        return self.status, headers, body


class BrokenTransport(Exception):
    """The answer does not arrive as HTTP promises. The server acts it out on the socket.

    Kinds: reset (nothing arrives), reset_mid_body, long_content_length, slow_drip, hang.
    """

    def __init__(self, kind: str, answer: Answer, options: Mapping[str, Any]) -> None:
        super().__init__(kind)
        self.kind = kind
        self.answer = answer
        self.options = dict(options)


def read_form(content_type: str, body: bytes) -> dict[str, str]:
    """The fields of a urlencoded, multipart or JSON body; empty for anything else."""
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        return {}
    if kind == "application/json":
        return _read_json(body)
    if kind == "multipart/form-data":
        return _read_multipart(content_type, body)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _read_json(body: bytes) -> dict[str, str]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(value, dict):
        return {}
    return {
        key: item if isinstance(item, str) else orjson.dumps(item).decode()
        for key, item in value.items()
    }


def _read_multipart(content_type: str, body: bytes) -> dict[str, str]:
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields: dict[str, str] = {}
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = content.decode("utf-8", "replace")
    return fields
