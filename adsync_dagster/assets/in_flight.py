"""Which accounts a run is already on its way for, and which attempt at a window comes next.

A run's status alone is no proof of life: when a whole host dies, its run stays as it is, unless
Dagster's run monitoring ends it, which a project may not have switched on. So a started run of
accounts counts for ten minutes, and after that only while one of its accounts is locked in
Postgres, which lets go of a lock when the holder dies. A started run that locks no account by
itself counts for as long as its job may take, and one on its way to a start for an hour. A
queued run counts as long as it is queued: it is the daemon's, and starts when that is back.
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
#: A run that was taken from the queue and has not begun is believed this long.
START_MAX = timedelta(hours=1)
#: A begun run of a job that says no `dagster/max_runtime` is believed this long: the limit that
#: our dagster.yaml sets for all runs.
RUNTIME_MAX = timedelta(hours=6)
#: How long Dagster takes to end a run whose time is over.
ENDING = timedelta(minutes=10)
_MAX_RUNTIME_TAG = "dagster/max_runtime"
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
        if _lives(record, now, GRACE) or not locked.isdisjoint(run_keys):
            covered.update(run_keys)
    return covered


def kind_in_flight(instance: dg.DagsterInstance, kind: str, *, now: datetime) -> bool:
    """Whether any run of this kind is queued, starting or running, as far as it can be alive."""
    records = instance.get_run_records(
        dg.RunsFilter(tags={KIND_TAG: kind}, statuses=IN_FLIGHT), limit=RUNS_MAX
    )
    return any(_lives(record, now, _longest(record)) for record in records)


def _longest(record: dg.RunRecord) -> timedelta:
    """How long a begun run may live: its job's limit, and what Dagster needs to enforce it."""
    seconds = record.dagster_run.tags.get(_MAX_RUNTIME_TAG, "")
    limit = timedelta(seconds=int(seconds)) if seconds.isdecimal() else RUNTIME_MAX
    return limit + ENDING


def _lives(record: dg.RunRecord, now: datetime, longest: timedelta) -> bool:
    """Whether the run may be at work: a begun one for so long, one on its way for START_MAX."""
    status = record.dagster_run.status
    if status == dg.DagsterRunStatus.QUEUED:
        return True
    if status not in _BEGUN:
        return now - record.update_timestamp.replace(tzinfo=UTC) < START_MAX
    if record.start_time is None:
        begun = record.create_timestamp.replace(tzinfo=UTC)
    else:
        begun = datetime.fromtimestamp(record.start_time, tz=UTC)
    return now - begun < longest


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
