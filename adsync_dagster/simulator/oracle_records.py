"""What the judge knows of a run: ticks, rows as the warehouse holds them, and what is wrong.

Days are ordinals of account-local days, instants are stamps (microseconds since 1970), money
is in millionths of the currency's major unit: as in the ledger. So are conversions, of which
Google counts fractions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, Protocol


class Reader(Protocol):
    """A connection, as far as the judge needs one."""

    def execute(self, query: Any, params: Any = None) -> Any: ...


#: (account, level, platform id)
EntityKey = tuple[str, str, str]
#: (account, level, platform id, day)
CellKey = tuple[str, str, str, int]
#: (account, day, level)
DayKey = tuple[str, int, str]
#: impressions, clicks, link clicks, spend, reach, conversions, conversion value; the last two
#: and spend in millionths
Numbers = tuple[int | Decimal, ...]
#: (own status, effective status)
Status = tuple[str | None, str | None]

NO_NUMBERS: Numbers = (0,) * 7
#: Faults by which the platform leaves rows out of a HTTP 200 without a trace. What was never
#: stored before may then be missing until the next read; it never seals a day (see check_sealed)
#: and it is never missing in the end.
SILENT_FAULTS: Mapping[str, frozenset[str]] = {
    "facebook": frozenset({"empty_page", "empty_first_page", "cut_rows", "missing_next"}),
    "tiktok": frozenset({"empty_first_page"}),
    "google_ads": frozenset({"stream_nothing", "stream_rows_lost"}),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that may never be. `check` is the number of the rule, O1 to O14."""

    check: str
    message: str
    tick: int

    def __str__(self) -> str:
        return f"{self.check} at tick {self.tick}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One run of a service, as seen from outside."""

    number: int
    #: What ran: sync, final_syncs, settle, safety_net.
    name: str
    started: int
    ended: int
    #: By platform: (when it answered, the instant whose truth it told), for numbers and entities.
    numbers_seen: Mapping[str, Sequence[tuple[int, int]]]
    entities_seen: Mapping[str, Sequence[tuple[int, int]]]
    requests: int = 0
    statements: int = 0
    #: Names of the faults that struck each platform's answers, and under "" the process itself.
    faults: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: By platform: values that faults put in the place of statuses in this tick.
    planted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: Accounts that a whole sync reported success for.
    synced: frozenset[str] = frozenset()
    #: Everything logged meanwhile.
    log_text: str = ""

    def was_silent(self, platform: str) -> bool:
        """Whether the platform left rows out of an answer without a trace."""
        return not SILENT_FAULTS[platform].isdisjoint(self.faults.get(platform, ()))

    def was_misled(self, platform: str) -> bool:
        """Whether the platform told statuses that were not true, or not true any more."""
        return bool(self.planted.get(platform)) or self.was_stale(platform)

    def was_stale(self, platform: str) -> bool:
        """Whether the platform told of an older instant than that at which it was asked."""
        return "stale" in self.faults.get(platform, ())

    def was_struck(self, platform: str) -> bool:
        """Whether any fault struck the platform's answers or the process."""
        return bool(self.faults.get(platform) or self.faults.get(""))


class AccountRow(NamedTuple):
    """What the warehouse says of an account."""

    account: str
    timezone: str
    history_start: int | None
    first_synced: bool
    blocked_reason: str | None
    texts: str


class EntityRow(NamedTuple):
    """What the warehouse says of an entity."""

    status: Status
    is_stub: bool
    parent_id: str | None
    campaign_id: str | None
    unreachable: bool
    #: When it was first seen.
    created: int


class CellRow(NamedTuple):
    """Stored numbers of one entity and day."""

    numbers: Numbers
    read_started: int | None


class ChangeRow(NamedTuple):
    """A row of the change log."""

    key: EntityKey
    id: str
    old_status: str | None
    new_status: str | None
    #: False: owed, True: done, None: needs none.
    completed: bool | None
    attempts: int
    blocked_reason: str | None
    source: str
    created: int
    old: Status
    new: Status
    occurred: int | None
    error: str
    sequence: int
    #: When its final sync was done.
    done: int | None


class DayRow(NamedTuple):
    """What the warehouse says of an account day at one level."""

    state: str
    read_started: int | None
    residual_class: str | None
    #: impressions, clicks, spend, conversions, conversion value; None when never recorded.
    total: Numbers | None
    stored: Numbers | None


@dataclass(slots=True)
class Snapshot:
    """The warehouse after a tick, and what the tick changed: values before it, by key."""

    accounts: dict[str, AccountRow] = field(default_factory=dict)
    entities: dict[EntityKey, EntityRow] = field(default_factory=dict)
    cells: dict[CellKey, CellRow] = field(default_factory=dict)
    changes: dict[str, ChangeRow] = field(default_factory=dict)
    days: dict[DayKey, DayRow] = field(default_factory=dict)
    counts: tuple[int, ...] = (0, 0, 0, 0)
    accounts_before: Mapping[str, AccountRow] = field(default_factory=dict)
    entities_before: dict[EntityKey, EntityRow | None] = field(default_factory=dict)
    cells_before: dict[CellKey, CellRow | None] = field(default_factory=dict)
    changes_before: dict[str, ChangeRow | None] = field(default_factory=dict)
    days_before: dict[DayKey, DayRow | None] = field(default_factory=dict)
    counts_before: tuple[int, ...] = (0, 0, 0, 0)


@dataclass(slots=True)
class Memory:
    """What the judge keeps of earlier ticks."""

    #: By account: when the latest whole sync began that reported success.
    synced: dict[str, int] = field(default_factory=dict)
    #: The same, of those in which no fault struck.
    synced_clean: dict[str, int] = field(default_factory=dict)
    #: Platforms that told untrue statuses at some time.
    misled: set[str] = field(default_factory=set)
    #: By platform: when a tick ended in which it first left rows out without a trace.
    silent: dict[str, int] = field(default_factory=dict)
    #: The same, of the latest such tick.
    silent_last: dict[str, int] = field(default_factory=dict)

    def keep(self, tick: Tick, platforms: Mapping[str, str]) -> None:
        """Take a tick that was judged into account. `platforms` are those of the accounts."""
        for account in tick.synced:
            self.synced[account] = tick.started
            if not tick.was_struck(platforms[account]):
                self.synced_clean[account] = tick.started
        self.misled |= {one for one in platforms.values() if tick.was_misled(one)}
        for platform in set(platforms.values()):
            if tick.was_silent(platform):
                self.silent.setdefault(platform, tick.ended)
                self.silent_last[platform] = tick.ended


VERDICTS = ("stable", "lost", "stale", "invented", "never_observable")


@dataclass(slots=True)
class Judgement:
    """How a whole run ended, by entity-day. `observed` False: it proved nothing."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    violations: list[Violation] = field(default_factory=list)
    observed: bool = False

    @property
    def word(self) -> str:
        """pass, fail, or unknown when nothing was there to be lost."""
        if self.violations:
            return "fail"
        return "pass" if self.observed else "unknown"
