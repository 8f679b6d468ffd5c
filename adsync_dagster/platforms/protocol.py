"""How an adapter speaks to a platform without doing any I/O.

An adapter's read is a generator. It yields four things:

- `Request`: the driver sends it and sends the `Response` back in;
- `NextElement`: the next piece of an answer that is taken as it arrives;
- `Rows`: records of one page, handed on to whoever asked (nothing is collected here, so a
  read of a million rows needs the memory of one page);
- `Pause`: the driver waits that long (an asynchronous report that is not ready yet).

It ends with `return Complete(...)`, the verdict, or raises: there is no third way and no
bare list. The driver (`transport/`) owns sockets, retries, rate limits and the clock.

A `yield Request(...)` behaves like a call: it gives the Response, which has passed the
adapter's own `check`, or it raises the error the answer (after the driver's retries) belongs
to. An adapter that knows what to do about one, such as ask for less, catches it there.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import orjson

from adsync_dagster.errors import CredentialBlocked, IncompleteRead
from adsync_dagster.records import (
    AccountInfo,
    ChangeHint,
    Complete,
    DailyMetrics,
    DateRange,
    DayTotals,
    Entity,
    Level,
    Platform,
)
from adsync_dagster.settlement import SettlementRules

Record = Entity | DailyMetrics | DayTotals | AccountInfo | ChangeHint


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP exchange, relative to the platform's base URL. It never holds a credential."""

    method: str
    #: Begins with a slash; joined to the base URL by the transport.
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    #: Form fields of a POST; None for a GET.
    form: Mapping[str, str] | None = None
    #: JSON body of a POST; None otherwise.
    json: Any = None
    #: What is being read, in words for logs and errors ("ads of account act_1").
    purpose: str = ""
    #: The answer is a JSON array, taken element by element as it arrives: the Response is its
    #: first element (None when it has none), and `NextElement` asks for each further one.
    in_elements: bool = False
    #: The platform starts to compute a report and answers with its name, without any rows: a
    #: read that begins so can be ordered before its turn comes (transport/client.py).
    orders: bool = False
    #: Values of the credential that this one request carries as parameters of the same name.
    #: The transport adds them at the last moment; SecretMissing when the credential lacks one.
    secret_params: tuple[str, ...] = ()


class SecretMissing(CredentialBlocked):
    """The credential lacks a value that only this request needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What came back: status, headers with lower-case names, the decoded body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    #: The parsed body once somebody asked for it: `check` and the adapter share one parse.
    _parsed: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def json(self) -> Any:
        """The body as JSON; IncompleteRead when it is none (NaN and cut bodies included)."""
        if not self._parsed:
            self._parsed.append(self._parse())
        return self._parsed[0]

    def _parse(self) -> Any:
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            pass
        # Raised outside the handler: the decoder's error holds the whole body.
        raise IncompleteRead(
            f"the platform answered HTTP {self.status} with a body that is not JSON"
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """The records of one page, in the order of the wire.

    `ahead` is the Request this read will yield next, if it already knows: a driver may send
    it while the records are being stored. The adapter then yields that very object.
    """

    records: Sequence[Record]
    ahead: Request | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next request."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class NextElement:
    """The next element of the last answer that was asked for `in_elements`; None at its end.

    Raises IncompleteRead when the answer breaks off. Whatever of it came before is then not
    known to be whole: the read starts it again or ends with the error.
    """


Step = Request | Rows | Pause | NextElement
#: A read: yields steps, is sent the Response of each Request (None otherwise), returns the verdict.
Read = Generator[Step, Response | None, Complete]


@dataclass(frozen=True, slots=True)
class Credential:
    """A platform credential in memory. Its values show in no repr, str, log or pickle."""

    values: Mapping[str, str] = field(repr=False)

    def __repr__(self) -> str:
        return "Credential(***)"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise TypeError("a credential is never pickled")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A short-lived token that a stored credential was exchanged for."""

    value: str = field(repr=False)
    lifetime_seconds: float


class Authenticator(Protocol):
    """How a credential gets into a request: the only places where its values are revealed."""

    def headers(self, credential: Credential) -> Mapping[str, str]: ...

    def parameters(self, credential: Credential) -> Mapping[str, str]: ...

    def may_post(self, path: str) -> bool: ...


class TokenGrant(Authenticator, Protocol):
    """How a stored credential is exchanged for an access token (transport/access.py sends it)."""

    def key(self, credential: Credential) -> tuple[str, ...] | None:
        """The values that decide the token; None when this credential needs no exchange."""

    def request(self) -> Request:
        """The exchange, without the secrets: `parameters` adds them at the last moment."""

    def parse(self, response: Response) -> AccessToken:
        """The token; CredentialBlocked when it is refused, PlatformBusy when waiting helps."""

    def apply(self, credential: Credential, token: str) -> Credential:
        """The credential as the adapter's `headers` want it, with this access token."""


class PlatformAdapter(Protocol):
    """What every platform module offers. Account ids are as in `ad_accounts`.

    `started_at` is the instant the read starts; it comes back in the verdict.
    Every listing asks for every status the platform will list. Errors follow errors.py.
    """

    @property
    def key(self) -> Platform: ...

    @property
    def rules(self) -> SettlementRules: ...

    def headers(self, credential: Credential) -> Mapping[str, str]:
        """The headers that authenticate a request. The only place a token is revealed."""

    def parameters(self, credential: Credential) -> Mapping[str, str]:
        """Parameters every request must carry besides the headers, never the token itself.

        Meta's `appsecret_proof` is one; most platforms have none and return {}. The transport
        adds them at the last moment, so no Request holds them.
        """

    def may_post(self, path: str) -> bool:
        """Whether a POST to this path only reads. The transport sends no other POST."""

    def check(self, response: Response) -> None:
        """Return when the answer is a success, else raise the family the answer belongs to."""

    def usage_wait_seconds(self, response: Response) -> float:
        """How long the platform's usage headers ask us to hold off; 0 when they do not."""

    def normalise_account_id(self, text: str) -> str:
        """The account id in the platform's canonical spelling; UsageError when malformed."""

    def read_accounts(self, started_at: datetime) -> Read:
        """Rows of AccountInfo: the accounts the credential can see."""

    def read_account(self, account_id: str, started_at: datetime) -> Read:
        """Rows of exactly one AccountInfo."""

    def list_entities(self, account_id: str, level: Level, started_at: datetime) -> Read:
        """Rows of Entity: every entity of a level that the platform lists at all."""

    def lookup_entities(
        self, account_id: str, level: Level, ids: Sequence[str], started_at: datetime
    ) -> Read:
        """Rows of Entity by id, deleted ones included; ids nobody knows in `missing_ids`."""

    def report(self, account_id: str, level: Level, days: DateRange, started_at: datetime) -> Read:
        """Rows of DailyMetrics of every entity the account-wide report shows."""

    def report_totals(self, account_id: str, days: DateRange, started_at: datetime) -> Read:
        """Rows of DayTotals; a day with no activity at all has no row."""

    def report_entities(
        self,
        account_id: str,
        level: Level,
        ids: Sequence[str],
        days: DateRange,
        started_at: datetime,
    ) -> Read:
        """Rows of DailyMetrics read by id, for entities that account-wide reports may hide."""

    def read_change_history(
        self, account_id: str, since: datetime, until: datetime, started_at: datetime
    ) -> Read:
        """Rows of ChangeHint, oldest or newest first; duplicates are possible."""
