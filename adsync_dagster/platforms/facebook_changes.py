"""Meta's activity log as hints about status changes between two polls.

A hint is never the truth: values are display labels in the language of the token's owner (or
bare numbers), and "Inactive" does not tell paused from archived or deleted. One click logs
several steps (Active, Pending Process, Inactive), which are one change here. Names are
legacy: ADGROUP is an ad, CAMPAIGN an ad set, CAMPAIGN_GROUP a campaign.

Creations come as hints without statuses (`raw["event_type"]` is create_...): they are the
only trace of objects that were created and deleted between two listings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from adsync_dagster.errors import IncompleteRead
from adsync_dagster.platforms.facebook_entities import instant
from adsync_dagster.platforms.facebook_wire import (
    Edge,
    Page,
    ReadLimits,
    read_pages,
    read_with_restarts,
)
from adsync_dagster.platforms.protocol import Rows
from adsync_dagster.platforms.reading import (
    Part,
    Tally,
)
from adsync_dagster.records import ChangeHint, Level
from adsync_dagster.status import OwnStatus

_LEVELS = {"ADGROUP": Level.AD, "CAMPAIGN": Level.ADSET, "CAMPAIGN_GROUP": Level.CAMPAIGN}
_STATUS_EVENTS = frozenset(
    {
        "update_ad_run_status",
        "update_ad_run_status_to_be_set_after_review",
        "update_ad_set_run_status",
        "update_campaign_run_status",
    }
)
_CREATE_EVENTS = frozenset({"create_ad", "create_ad_set", "create_campaign_group"})
_FIELDS = "event_time,event_type,object_id,object_type,extra_data"

#: A step on the way, not a state to stay in.
IN_PROCESS = "IN_PROCESS"
#: Labels and codes as seen in public records, lower case. What is not here stays None.
_LABELS: dict[str, str] = {
    label: status.value
    for status, labels in (
        (OwnStatus.ACTIVE, "active activo activa ativo ativa aktiv actif attivo 1"),
        # Paused is by far the commonest way to be inactive; the status by id is the truth.
        (OwnStatus.PAUSED, "inactive inactivo inactiva inativo inativa inaktiv inactif 7 8 15"),
        (OwnStatus.PAUSED, "inattivo paused"),
        (OwnStatus.ARCHIVED, "archived archivado arquivado"),
        (OwnStatus.DELETED, "deleted eliminado removed"),
    )
    for label in labels.split()
} | dict.fromkeys(("pending process", "pending_process", "in process"), IN_PROCESS)
_HINTS_PER_ROWS = 500


class _Step(NamedTuple):
    """One record of the log, reduced to what identifies it: the log gives no event id."""

    platform_id: str
    event_type: str
    at: datetime
    old: str | None
    new: str | None
    level: Level


@dataclass(slots=True)
class _Log:
    """The log's relevant steps. They are small, and a change is only whole with all of them."""

    since: datetime
    until: datetime
    purpose: str
    steps: list[_Step] = field(default_factory=list)

    def parse(self, page: Page) -> Sequence[ChangeHint]:
        """Keep the page's steps; hints come once all are known."""
        for row in page.data:
            step = _step(row, self.purpose)
            if step is not None and self.since <= step.at <= self.until:
                self.steps.append(step)
        return ()


def read_changes(
    account: str,
    version: str,
    *,
    since: datetime,
    until: datetime,
    limits: ReadLimits,
    tally: Tally,
) -> Part:
    """Hints of a period, oldest first. The period is always sent: the default is one week."""
    purpose = f"activity log of account {account}"
    whole_seconds = since.replace(microsecond=0)
    log = _Log(whole_seconds, until, purpose)
    edge = Edge(
        path=f"/{version}/{account}/activities",
        params={
            "fields": _FIELDS,
            "since": str(int(whole_seconds.timestamp())),
            "until": str(int(until.timestamp()) + 1),
        },
        purpose=purpose,
    )
    yield from read_with_restarts(
        lambda: read_pages(
            edge, page_rows=limits.activity_page_rows, limits=limits, tally=tally, parse=log.parse
        ),
        limits,
    )
    hints = collapse(log.steps)
    tally.rows += len(hints)
    for start in range(0, len(hints), _HINTS_PER_ROWS):
        yield Rows(hints[start : start + _HINTS_PER_ROWS])


def collapse(steps: Iterable[_Step]) -> list[ChangeHint]:
    """Chains of steps of one object as single changes, oldest first, each once.

    A change is dated by its first step, the moment the old state ended.
    """
    hints: list[ChangeHint] = []
    open_chains: dict[str, list[_Step]] = {}
    for step in _in_order(steps):
        if step.event_type in _CREATE_EVENTS:
            hints.append(_hint([step]))
            continue
        chain = open_chains.pop(step.platform_id, [])
        if chain and _label(chain[-1].new) != _label(step.old):
            hints.extend(_settled(chain))
            chain = []
        chain.append(step)
        if _label(step.new) == IN_PROCESS:
            open_chains[step.platform_id] = chain
        else:
            hints.extend(_settled(chain))
    for chain in open_chains.values():
        hints.extend(_settled(chain))
    hints.sort(key=lambda hint: hint.occurred_at)
    return hints


def _in_order(steps: Iterable[_Step]) -> list[_Step]:
    """Oldest first, without repetitions.

    The log comes newest first and two steps may share a second, so its order is turned
    around before the (stable) sort by time.
    """
    distinct = list(dict.fromkeys(steps))
    if distinct and distinct[0].at >= distinct[-1].at:
        distinct.reverse()
    distinct.sort(key=lambda step: step.at)
    return distinct


def _settled(chain: list[_Step]) -> list[ChangeHint]:
    """The change a chain amounts to; nothing when it ends where it began."""
    hint = _hint(chain)
    if hint.old_status is not None and hint.old_status == hint.new_status:
        return []
    return [hint]


def _hint(chain: list[_Step]) -> ChangeHint:
    first, last = chain[0], chain[-1]
    return ChangeHint(
        level=first.level,
        platform_id=first.platform_id,
        occurred_at=first.at,
        old_status=_label(first.old),
        new_status=_label(last.new),
        exact=False,
        raw={
            "event_type": last.event_type,
            "steps": [[step.at.isoformat(), step.old, step.new] for step in chain],
        },
    )


def _label(text: str | None) -> str | None:
    return None if text is None else _LABELS.get(text.strip().lower())


def _step(row: Any, purpose: str) -> _Step | None:
    """The record as a step; None when it is about something else."""
    if not isinstance(row, dict):
        raise IncompleteRead(f"{purpose}: the log holds something that is no record")
    event_type, level = row.get("event_type"), _LEVELS.get(str(row.get("object_type")))
    if event_type not in _STATUS_EVENTS and event_type not in _CREATE_EVENTS:
        return None
    platform_id = str(row.get("object_id"))
    if level is None or not (platform_id.isascii() and platform_id.isdigit()):
        return None
    at = instant(row.get("event_time"), "event_time")
    if at is None:
        raise IncompleteRead(f"{purpose}: a record lacks event_time")
    old, new = _values(row.get("extra_data")) if event_type in _STATUS_EVENTS else (None, None)
    return _Step(platform_id, event_type, at.astimezone(UTC), old, new, level)


def _values(extra: Any) -> tuple[str | None, str | None]:
    """Old and new value out of `extra_data`, which is JSON in a text.

    They stand at the top or under `run_status`, as labels or as numbers.
    """
    try:
        data = orjson.loads(extra) if isinstance(extra, str) else extra
    except orjson.JSONDecodeError:
        return None, None
    if not isinstance(data, dict):
        return None, None
    nested = data.get("run_status")
    source = nested if isinstance(nested, dict) else data
    return _plain(source.get("old_value")), _plain(source.get("new_value"))


def _plain(value: Any) -> str | None:
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")[:100]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None
