"""What is measured: the account's shape, and the figures a measured process hands back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

ACCOUNT = "act_900"
ACCOUNT_KEY = f"facebook:{ACCOUNT}"
TOKEN = "sim_benchmark"  # noqa: S105 - the simulator takes any token that begins with sim_
DAYS = 100
SCALES = {"10k": 10_000, "84k": 84_000, "1M": 1_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """An account whose every ad has a row on each of its days, yesterday's included."""

    ads: int
    days: int
    #: IANA name of a zone in which it is about noon, so that no day ends while we measure.
    timezone: str

    @property
    def adsets(self) -> int:
        return max(1, self.ads // 5)

    @property
    def campaigns(self) -> int:
        return max(1, self.ads // 50)

    @property
    def ad_rows(self) -> int:
        return self.ads * self.days

    @property
    def rows(self) -> int:
        """The rows of all three levels, which a sync has to store."""
        return (self.ads + self.adsets + self.campaigns) * self.days


def shape_of(rows: int, days: int) -> Shape:
    """The account with about that many ad-day rows."""
    return Shape(ads=max(1, rows // days), days=days, timezone=_zone_at_noon(datetime.now(UTC)))


def _zone_at_noon(now: datetime) -> str:
    # The sign of these names is reversed: Etc/GMT-9 is nine hours ahead of UTC.
    behind = now.hour - 12
    return f"Etc/GMT{behind:+d}" if behind else "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one measured process is to do."""

    #: record, floor, load or reload.
    kind: str
    shape: Shape
    base_url: str
    database_url: str
    home: str
    #: Where the requests of a sync are written to and read from.
    requests_file: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Task:
        return cls(**{**values, "shape": Shape(**values["shape"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one measured process measured. Times in seconds."""

    seconds: float
    #: Processor time of the measured process, and of the database's process that serves it.
    cpu_seconds: float
    database_cpu_seconds: float
    #: Most memory the measured process ever held, the interpreter and libraries included,
    #: and what it held before it began.
    peak_bytes: int
    start_bytes: int
    requests: int
    bytes: int
    #: Rows of daily numbers that were read.
    rows: int
    #: Time of the calling thread per stage; empty for the floor.
    stages: dict[str, float] = field(default_factory=dict)
    #: The part of `seconds` spent on entities (steps 1 to 3) and on metrics (step 4).
    entity_seconds: float = 0.0
    metrics_seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
