"""The simulator of one world: every platform's wire, the faults, and the way in.

`handle` answers a request in-process, without a socket; `server.serve` wraps the same thing
in a loopback port. Paths under /_sim/ are the control surface for other processes.
"""

from __future__ import annotations

import copy
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import parse_qsl

from adsync_dagster.simulator.control import PREFIX, answer_control
from adsync_dagster.simulator.facebook import FacebookWire, split_version
from adsync_dagster.simulator.facebook_faults import answer_instead as plain_answer
from adsync_dagster.simulator.faults import Faults, Rule
from adsync_dagster.simulator.google_ads import GoogleAdsWire, is_google_path
from adsync_dagster.simulator.http import Answer, BrokenTransport, Call, read_form
from adsync_dagster.simulator.tiktok import PREFIX as TIKTOK_PREFIX
from adsync_dagster.simulator.tiktok import TikTokWire
from adsync_dagster.simulator.tiktok import where_of as where_of_tiktok
from adsync_dagster.simulator.world import World


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that was answered. Parameters are left out: they hold tokens."""

    at: int
    method: str
    path: str
    status: int


class Wire(Protocol):
    """A platform's wire from elsewhere: it renders the world, and this simulator spoils it."""

    def serves(self, path: str) -> bool:
        """Whether a request to this path is its own."""

    def handle(self, call: Call) -> Answer:
        """The right answer. What is in `payload` is encoded as JSON."""


class Simulator:
    """Answers requests from a world. `wires` are asked before those of the built-in platforms."""

    def __init__(
        self, world: World, *, wires: Sequence[Wire] = (), requests_kept: int = 10_000
    ) -> None:
        self.wires = tuple(wires)
        self.world = world
        self.faults = Faults(world.seed, world.now)
        self.facebook = FacebookWire(world, self.faults)
        self.tiktok = TikTokWire(world, self.faults, self.facebook.tokens)
        self.google_ads = GoogleAdsWire(world, self.faults)
        #: The latest requests, oldest first.
        self.requests: deque[Seen] = deque(maxlen=requests_kept)

    def handle(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request: (status, headers, body bytes).

        `params` is the query, as a mapping or as text. BrokenTransport is raised when an
        armed fault breaks the connection instead.
        """
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        query = parse_qsl(params, keep_blank_values=True) if isinstance(params, str) else params
        merged = dict(query or {})
        merged.update(read_form(lower.get("content-type", ""), body))
        call = Call(method=method.upper(), path=path, params=merged, headers=lower, body=body)
        with self.world.lock:
            if path.startswith(PREFIX):
                return answer_control(self, call).encode()
            answer, where = self._answer(call)
            self.requests.append(Seen(self.world.now(), call.method, path, answer.status))
            answer = self._rewrite(call.method, where, answer)
            encoded = self._spoil_bytes(call.method, where, answer)
        for rule in self.faults.fire("transport", call.method, where):
            raise BrokenTransport(rule.name, encoded, rule.options)
        return encoded.encode()

    def _answer(self, call: Call) -> tuple[Answer, str]:
        """The answer of the platform whose path it is, and the path as faults match it."""
        for wire in self.wires:
            if wire.serves(call.path):
                return self._plain_faults(call) or wire.handle(call), call.path
        if call.path.startswith(TIKTOK_PREFIX):
            return self.tiktok.handle(call), where_of_tiktok(call.path)
        if is_google_path(call.path):
            return self.google_ads.handle(call), self.google_ads.where(call)
        where = "/".join(split_version(call.path, self.facebook.settings)[1])
        return self.facebook.handle(call), where

    def _plain_faults(self, call: Call) -> Answer | None:
        """What faults do before a wire that knows nothing of them; an answer in its place."""
        for rule in self.faults.fire("hook", call.method, call.path):
            rule.options["do"]()
        for rule in self.faults.fire("answer", call.method, call.path):
            return plain_answer(rule, "")
        return None

    def _rewrite(self, method: str, where: str, answer: Answer) -> Answer:
        """The answer with its JSON as `rewrite` faults make it."""
        if answer.payload is None:
            return answer
        for rule in self.faults.fire("rewrite", method, where):
            payload = rule.options["change"](copy.deepcopy(answer.payload))
            answer = Answer(answer.status, payload, answer.headers)
        return answer

    def _spoil_bytes(self, method: str, where: str, answer: Answer) -> Answer:
        for rule in self.faults.fire("encode", method, where):
            status, headers, body = answer.encode()
            body, extra = _spoil(rule, body)
            answer = Answer(status, None, {**headers, **extra}, raw=body)
        return answer


def _spoil(rule: Rule, body: bytes) -> tuple[bytes, dict[str, str]]:
    """The bytes an `encode` fault makes of a body, and headers that go with them."""
    size = int(rule.options.get("bytes", 100_000_000))
    if rule.name == "gzip_bomb":
        return _bomb(size, str(rule.options.get("encoding", "gzip")))
    depth = int(rule.options.get("depth", 100_000))
    spoilt: dict[str, Callable[[], bytes]] = {
        "huge_body": lambda: b'{"data":["' + b"x" * size + b'"]}',
        "deep_json": lambda: b'{"data":' + b"[" * depth + b"]" * depth + b"}",
        "not_a_number": lambda: b'{"data":[{"spend":NaN,"impressions":Infinity}]}',
        "duplicate_keys": lambda: b'{"data":[],' + body.lstrip()[1:],
        "cut_json": lambda: body[: max(1, len(body) * 2 // 3)],
        "invalid_json": lambda: body + b"}{",
    }
    return spoilt[rule.name](), {}


@lru_cache(maxsize=4)
def _bomb(size: int, encoding: str) -> tuple[bytes, dict[str, str]]:
    """A small body that unpacks to `size` bytes of JSON."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    chunk = b" " * 1_000_000
    parts = [packer.compress(b'{"data":[')]
    parts.extend(packer.compress(chunk) for _ in range(size // len(chunk)))
    parts += [packer.compress(b"]}"), packer.flush()]
    return b"".join(parts), {"Content-Encoding": encoding}
