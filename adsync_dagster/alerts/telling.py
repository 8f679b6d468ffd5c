"""One round: look what is wrong, compare it with what was told, send at most one message each.

A message is noted as told only after its channel took it, so a failed delivery, or a process
killed in between, means that it is sent again: at least once, never not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from adsync_dagster.alerts.delivery import Channel
from adsync_dagster.alerts.delta import Digest, digest_of
from adsync_dagster.alerts.problems import WAREHOUSE_KINDS, Kind, Problem
from adsync_dagster.alerts.rendering import message_of
from adsync_dagster.alerts.settings import AlertSettings
from adsync_dagster.errors import AdsyncError
from adsync_dagster.warehouse import alerts
from adsync_dagster.warehouse.database import Connection

#: Gives the path of the asset that a kind of problem shows on, for links.
AssetOf = Callable[[Kind], str]


@dataclass(slots=True)
class Round:
    """What one round did, for its answer to people."""

    #: Open problems, told or not.
    known: int = 0
    #: What was told, by channel.
    told: dict[str, Digest] = field(default_factory=dict)
    #: Why a channel did not take its message.
    failed: dict[str, str] = field(default_factory=dict)
    #: What a channel remarked on a message it took.
    remarks: dict[str, str] = field(default_factory=dict)
    #: Another process was telling people at the same time.
    elsewhere: bool = False

    def words(self) -> str:
        """One line."""
        if self.elsewhere:
            return "Another process is telling people at this moment"
        parts = [f"told by {name}: {digest.words()}" for name, digest in self.told.items()]
        parts += [f"but {remark}" for remark in self.remarks.values()]
        parts += [
            f"NOT told by {name}, tried again at the next look: {error}"
            for name, error in self.failed.items()
        ]
        open_ = f"{self.known} problem{'' if self.known == 1 else 's'} open"
        return f"{open_}; {'; '.join(parts)}" if parts else f"{open_}; nothing new to tell"


def warehouse_problems(
    connection: Connection, overdue_after: timedelta, asset_of: AssetOf
) -> list[Problem]:
    """The states of the warehouse that a person should know of."""
    return [
        Problem.from_row(row, asset_of(Kind(row.kind)))
        for row in alerts.problems_now(connection, overdue_after)
    ]


def note_failed_run(connection: Connection, channels: Sequence[str], problem: Problem) -> None:
    """Note a run that failed, so that the next round tells it. The same run twice counts once."""
    known = _failed_runs(connection, also_ended=True).get(problem.id)
    if known is None or problem.ended > known.ended:
        _open(connection, channels, [problem.after(known)])


def note_states(
    connection: Connection,
    channels: Sequence[str],
    problems: Sequence[Problem],
    kinds: Sequence[Kind] = WAREHOUSE_KINDS,
) -> None:
    """Note which problems of these kinds last; all others of the kinds are over."""
    _open(connection, channels, problems)
    alerts.end_alerts(
        connection, [kind.value for kind in kinds], {problem.id for problem in problems}
    )


def end_failed_runs(connection: Connection, over: Callable[[Problem], bool]) -> None:
    """Note as over the failed runs of which `over` says that later ones succeeded."""
    runs = _failed_runs(connection)
    lasting = {name for name, problem in runs.items() if not over(problem)}
    if len(lasting) < len(runs):
        alerts.end_alerts(connection, [Kind.FAILED_RUN.value], lasting)


def _failed_runs(connection: Connection, *, also_ended: bool = False) -> dict[str, Problem]:
    """The failed runs that last, or whose end was not told yet, by the problem's id."""
    return {
        row.problem: Problem.from_facts(row.facts)
        for row in alerts.list_alerts(connection)
        if row.kind == Kind.FAILED_RUN and (also_ended or row.ended_at is None)
    }


def _open(connection: Connection, channels: Sequence[str], problems: Sequence[Problem]) -> None:
    alerts.open_alerts(
        connection,
        channels,
        [
            {"problem": problem.id, "kind": problem.kind.value, "facts": problem.facts()}
            for problem in problems
        ],
    )


def tell(connection: Connection, channels: Mapping[str, Channel], settings: AlertSettings) -> Round:
    """Send each channel what is due for it, in one message, and note what was taken."""
    rows = alerts.list_alerts(connection)
    now = alerts.present_time(connection)
    done = Round(known=len({row.problem for row in rows if row.ended_at is None}))
    for name, channel in channels.items():
        due = digest_of([row for row in rows if row.channel == name], now, settings.reminder)
        if not due:
            continue
        try:
            remark = channel.send(message_of(due, settings.ui_url))
        except AdsyncError as error:
            done.failed[name] = str(error)
            alerts.mark_untold(connection, [row.id for row in due.rows], str(error))
        else:
            done.told[name] = due
            if remark:
                done.remarks[name] = remark
            lasting = [row.id for row in (*due.new, *due.lasting)]
            alerts.mark_told(connection, lasting, [row.id for row in due.over])
    return done
