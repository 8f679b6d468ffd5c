"""Which accounts a run is already on its way for, and which attempt at a window comes next.

A run's status alone is no proof of life: when a whole host dies, its run stays STARTED. So a
started run counts for ten minutes, and after that only while one of its accounts is locked in
Postgres, which lets go of a lock when the holder dies.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from adsync_dagster.assets.windows import keys_of_run

KIND_TAG = "adsync/kind"
#: Names the window and the newest change in it; runs with the same value are attempts at it.
BATCH_TAG = "adsync/batch"
ATTEMPT_TAG = "adsync/attempt"

IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_BEGUN = {dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING}
#: A started run is believed this long without a look at the locks.
GRACE = timedelta(minutes=10)
RUNS_MAX = 2000

#: Waits between attempts that left no trace in the change log (a run that died at its start).
BACKOFF_FIRST_SECONDS = 30
BACKOFF_MAX_SECONDS = 900


def accounts_in_flight(
    instance: dg.DagsterInstance,
    kinds: Collection[str],
    keys: Sequence[str],
    *,
    locked: Set[str],
    now: datetime,
) -> set[str]:
    """The accounts that a queued, starting or living run of one of these kinds covers."""
    records = instance.get_run_records(
        dg.RunsFilter(tags={KIND_TAG: sorted(kinds)}, statuses=IN_FLIGHT), limit=RUNS_MAX
    )
    covered: set[str] = set()
    for record in records:
        run_keys = keys_of_run(record.dagster_run.tags, keys)
        if _lives(record, now) or not locked.isdisjoint(run_keys):
            covered.update(run_keys)
    return covered


def kind_in_flight(instance: dg.DagsterInstance, kind: str) -> bool:
    """Whether any run of this kind is queued, starting or running."""
    runs = dg.RunsFilter(tags={KIND_TAG: kind}, statuses=IN_FLIGHT)
    return instance.get_runs_count(runs) > 0


def _lives(record: dg.RunRecord, now: datetime) -> bool:
    if record.dagster_run.status not in _BEGUN:
        return True
    started = record.start_time
    return started is None or now - datetime.fromtimestamp(started, tz=UTC) < GRACE


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run that was asked for a batch, and when it ended."""

    number: int
    ended_at: datetime

    @property
    def not_before(self) -> datetime:
        """When the next attempt may be asked for: the wait doubles up to fifteen minutes."""
        doublings = min(self.number - 1, 10)
        seconds = min(BACKOFF_FIRST_SECONDS * 2**doublings, BACKOFF_MAX_SECONDS)
        return self.ended_at + timedelta(seconds=seconds)


def recent_attempts(instance: dg.DagsterInstance, kind: str, now: datetime) -> dict[str, Attempt]:
    """The latest attempt at every batch whose run ended within the longest wait, by batch.

    One query however many windows there are; whatever is older is past its wait anyway.
    """
    since = now - timedelta(seconds=BACKOFF_MAX_SECONDS)
    records = instance.get_run_records(
        dg.RunsFilter(tags={KIND_TAG: kind}, updated_after=since), limit=RUNS_MAX
    )
    attempts: dict[str, Attempt] = {}
    for record in records:
        batch = record.dagster_run.tags.get(BATCH_TAG)
        if batch is not None:
            attempts.setdefault(batch, _attempt(record))
    return attempts


def last_attempt_number(instance: dg.DagsterInstance, batch: str) -> int:
    """The number of the latest run asked for this batch, however long ago; 0 for none."""
    records = instance.get_run_records(dg.RunsFilter(tags={BATCH_TAG: batch}), limit=1)
    return _attempt(records[0]).number if records else 0


def _attempt(record: dg.RunRecord) -> Attempt:
    ended = record.end_time or record.update_timestamp.replace(tzinfo=UTC).timestamp()
    return Attempt(
        number=int(record.dagster_run.tags.get(ATTEMPT_TAG, "1")),
        ended_at=datetime.fromtimestamp(ended, tz=UTC),
    )
