"""What has to be told now: of the problems known, the new, the lasting and those that are over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from adsync_dagster.alerts.problems import Kind
from adsync_dagster.warehouse.alerts import AlertRow

#: A problem is over when it has stayed away this long: one that comes and goes is told once.
RECOVERY_HOLD = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The rows that one message is about."""

    new: Sequence[AlertRow] = ()
    lasting: Sequence[AlertRow] = ()
    over: Sequence[AlertRow] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.lasting or self.over)

    @property
    def rows(self) -> Iterator[AlertRow]:
        """All of them."""
        yield from self.new
        yield from self.lasting
        yield from self.over

    def words(self) -> str:
        """The numbers, for a subject line or a tick's answer."""
        parts = []
        if self.new:
            parts.append(f"{len(self.new)} new problem{'s' if len(self.new) > 1 else ''}")
        if self.lasting:
            parts.append(f"{len(self.lasting)} still there")
        if self.over:
            parts.append(f"{len(self.over)} over")
        return ", ".join(parts)


def digest_of(rows: Sequence[AlertRow], now: datetime, reminder: timedelta) -> Digest:
    """Sort the open rows of one channel into what is due now.

    A row that ended before anybody could be told is told as new and over in one: it is among
    `over`, and its message says when it began.
    """
    new, lasting, over = [], [], []
    for row in rows:
        if row.ended_at is not None:
            if now - row.ended_at >= RECOVERY_HOLD:
                over.append(row)
        elif row.told_at is None:
            new.append(row)
        elif now - row.told_at >= reminder and _goes_on(row, row.told_at):
            lasting.append(row)
    return Digest(new=new, lasting=lasting, over=over)


def _goes_on(row: AlertRow, told_at: datetime) -> bool:
    """A state lasts until it is over; a run is news only when it failed again."""
    return row.kind != Kind.FAILED_RUN or row.seen_at > told_at
