"""Google Ads' wire in general: questions in its query language, and streams of their rows.

A question names its fields, and every chunk of the answer echoes them in `fieldMask`: a chunk
with rows and another mask is the answer to something else. A stream that breaks off is begun
again from its start, because nothing says which rows are missing; the rows it repeats do no
harm, since the stage keeps the last record of a key.

There is no default filter on statuses: what is removed is listed and reported like the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from adsync_dagster.errors import (
    Defect,
    IncompleteRead,
    PlatformBusy,
    TooMuchData,
    UsageError,
)
from adsync_dagster.platforms.protocol import NextElement, Record, Request, Response, Rows, Step
from adsync_dagster.platforms.reading import Part, Tally
from adsync_dagster.records import DateRange, Level

Row = dict[str, Any]
T = TypeVar("T")
_ACCOUNT_DIGITS = 10
_ID_DIGITS_MAX = 19
_ID = "[0-9]{1,19}"
#: What an entity's id looks like; an ad's has its ad group before it (see `ad_key`).
ENTITY_IDS = {Level.CAMPAIGN: _ID, Level.ADSET: _ID, Level.AD: f"{_ID}~{_ID}"}


class WrongAnswer(IncompleteRead):
    """Rows that are no answer to the question. Asking again may help, asking for less does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Bounds and sizes of every read. Reaching a bound raises; nothing is cut silently."""

    #: A stream that breaks off is begun again this often.
    restarts_max: int = 2
    #: Days asked for in one question; more than this is asked for in pieces.
    days_max: int = 31
    #: Ids in one IN list.
    ids_max: int = 200
    #: Rows of a change history that Google gives for one question at most.
    changes_max: int = 10_000
    #: Questions that one change history may take.
    change_pages_max: int = 200


DEFAULT_LIMITS = ReadLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question in the query language. Its parts are ours, never data of a platform."""

    fields: tuple[str, ...]
    resource: str
    conditions: tuple[str, ...] = ()
    #: ORDER BY and LIMIT.
    tail: str = ""
    purpose: str

    @property
    def text(self) -> str:
        """The query. Names of involved resources are left out, which halves the answer."""
        query = f"SELECT {', '.join(self.fields)} FROM {self.resource}"
        if self.conditions:
            query += f" WHERE {' AND '.join(self.conditions)}"
        if self.tail:
            query += f" {self.tail}"
        return f"{query} PARAMETERS omit_unselected_resource_names=true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Whom the questions of a read are put to."""

    #: The customer id, digits only.
    account: str
    version: str
    limits: ReadLimits

    def request(self, question: Question) -> Request:
        return Request(
            method="POST",
            path=f"/{self.version}/customers/{self.account}/googleAds:searchStream",
            json={"query": question.text},
            purpose=question.purpose,
            in_elements=True,
        )


@lru_cache(maxsize=64)
def mask_of(fields: tuple[str, ...]) -> frozenset[str]:
    """The fields as `fieldMask` spells them."""
    return frozenset(".".join(map(_camel, field.split("."))) for field in fields)


def _camel(word: str) -> str:
    first, *rest = word.split("_")
    return first + "".join(part.capitalize() for part in rest)


def read_rows(
    customer: Customer,
    question: Question,
    parse: Callable[[list[Row]], Sequence[Record]],
    tally: Tally,
) -> Part:
    """Hand on the records of a question, chunk by chunk; begun again when the stream breaks."""
    before = tally.rows

    def part() -> Part:
        tally.rows = before
        yield from _stream(customer, question, parse, tally)

    yield from restarting(part, customer.limits)


def fetch_rows(
    customer: Customer, question: Question, tally: Tally
) -> Generator[Step, Response | None, list[Row]]:
    """The rows of a small answer, in memory."""

    def part() -> Generator[Step, Response | None, list[Row]]:
        rows: list[Row] = []

        def keep(chunk: list[Row]) -> Sequence[Record]:
            rows.extend(chunk)
            return ()

        yield from _stream(customer, question, keep, tally)
        return rows

    return (yield from restarting(part, customer.limits))


def restarting(
    part: Callable[[], Generator[Step, Response | None, T]], limits: ReadLimits
) -> Generator[Step, Response | None, T]:
    """Run a part of a read from its start again when its answer was not whole, a few times."""
    for attempt in range(limits.restarts_max + 1):
        try:
            return (yield from part())
        except TooMuchData:
            raise
        except IncompleteRead:
            if attempt == limits.restarts_max:
                raise
    raise Defect("a read needs at least one attempt")


def _stream(
    customer: Customer,
    question: Question,
    take: Callable[[list[Row]], Sequence[Record]],
    tally: Tally,
) -> Part:
    """One answer from its first chunk to its last."""
    tally.requests += 1
    response = yield customer.request(question)
    mask = mask_of(question.fields)
    while response is not None:
        records = proven(question, take, _chunk(response, mask, question))
        tally.rows += len(records)
        if records:
            yield Rows(records)
        try:
            response = yield NextElement()
        except PlatformBusy as error:
            if error.retry_after_seconds is not None:
                raise
            broken = str(error)
        else:
            continue
        # Nobody retries within a stream; from here it is one that is not whole.
        raise IncompleteRead(broken)


def proven(question: Question, take: Callable[[list[Row]], T], rows: list[Row]) -> T:
    """What `take` makes of the rows; WrongAnswer when one of them is no answer."""
    try:
        return take(rows)
    except WrongAnswer as error:
        problem = str(error)
    except KeyError as error:
        # The key is a field we asked for, by the wire's name for it.
        problem = f"a row lacks {error.args[0]}"
    except (TypeError, AttributeError, ValueError):
        problem = "a row holds a value of the wrong type"
    except IncompleteRead as error:
        problem = str(error)
    raise WrongAnswer(f"{question.purpose}: {problem}")


def _chunk(response: Response, mask: frozenset[str], question: Question) -> list[Row]:
    """The rows of a chunk; a chunk without any has no `results`."""
    chunk = response.json()
    if not isinstance(chunk, dict):
        raise WrongAnswer(f"{question.purpose}: the stream holds something that is no chunk")
    rows, echo = chunk.get("results", []), chunk.get("fieldMask")
    if not isinstance(rows, list):
        raise WrongAnswer(f"{question.purpose}: a chunk holds no list of rows")
    if echo is None and not rows:
        if not {"requestId", "queryResourceConsumption"} & set(chunk):
            raise WrongAnswer(f"{question.purpose}: the answer is not one of a stream")
        return []
    if not isinstance(echo, str) or mask != frozenset(echo.split(",")):
        raise WrongAnswer(f"{question.purpose}: the answer is about other fields")
    return rows


def own(row: Row, account: str) -> None:
    """WrongAnswer when the row belongs to another account."""
    if row["customer"]["id"] != account:
        raise WrongAnswer("the answer holds a row of another account")


def between(days: DateRange) -> str:
    """The days of a report, both included, in the account's own zone."""
    return f"segments.date BETWEEN '{days.since.isoformat()}' AND '{days.until.isoformat()}'"


def in_list(field: str, values: Iterable[str]) -> str:
    """A condition on ids, which are checked: they become part of a query."""
    return f"{field} IN ({', '.join(entity_id(value) for value in values)})"


def customer_id(text: str) -> str:
    """`1234567890` for `123-456-7890`, `customers/1234567890` or the digits themselves.

    UsageError for anything else.
    """
    digits = text.strip().removeprefix("customers/").replace("-", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _ACCOUNT_DIGITS):
        raise UsageError(
            f"{text.strip()[:40]!r} is not a Google Ads account; write it like 123-456-7890"
        )
    return digits


def entity_id(text: str) -> str:
    """The id itself when it is one; ids become parts of queries, so nothing else may pass."""
    if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS_MAX):
        raise Defect(f"{text[:40]!r} is not the id of a Google Ads entity")
    return text


def ad_key(text: str) -> tuple[str, str]:
    """Ad group and ad of an ad's key, `{ad_group_id}~{ad_id}`: an ad id alone is not unique."""
    group, _, ad = text.partition("~")
    return entity_id(group), entity_id(ad)


def chunks(values: Sequence[str], size: int) -> list[Sequence[str]]:
    """The values in pieces of at most `size`."""
    return [values[start : start + size] for start in range(0, len(values), size)]
