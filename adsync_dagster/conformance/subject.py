"""What the suite has to be told about a platform: the subject of its checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adsync_dagster.errors import Blocked
from adsync_dagster.platforms.plugin import PlatformPlugin
from adsync_dagster.platforms.protocol import Credential, PlatformAdapter
from adsync_dagster.records import Level
from adsync_dagster.simulator.simulator import Simulator


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way in which the wire goes wrong, as `simulator.faults.arm` takes it."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Where it strikes, if not where the read in question goes (see Subject.paths).
    path: str | None = None
    #: Matching requests that pass first.
    skip: int = 0


#: Ways in which a listing can be wrong for good. Each must end the read; it never ends as fewer
#: rows. A subject names its faults for each, or says why its wire cannot go wrong like that.
WRONG_LISTS = (
    "an empty page in the middle",
    "a page that comes again and again",
    "a page with rows missing",
    "a row without a field it must have",
    "a row of another account",
)
#: The same for reports.
WRONG_REPORTS = (
    "a row of another day",
    "a row without a number",
    "a number that is none",
    "a page that comes again and again",
    "a page with rows missing",
)
#: The faults of each way; or a sentence why there are none, such as that the API counts no rows,
#: so that only the day's totals tell of missing ones.
Ways = Mapping[str, tuple[Fault, ...] | str]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A platform, a simulated wire of it on a real port, and how that wire goes wrong.

    The world is `simulator.world`, under a virtual clock, with `account_id` in it: an account
    of a few dozen ads and three weeks or more of history.
    """

    plugin: PlatformPlugin
    #: With pages and batches so small that every read takes several requests.
    adapter: PlatformAdapter
    #: Its values must be long and unlike anything else, since the suite searches for them.
    credential: Credential
    simulator: Simulator
    base_url: str
    account_id: str
    #: An id in the platform's spelling for an account that the suite adds.
    empty_account_id: str
    #: Well-formed ids, by level, that no entity has.
    unknown_ids: Mapping[Level, str]
    #: The requests of the reads `list`, `look_up`, `report` and `report_by_id` (all of ads), as
    #: regular expressions on the path that faults match.
    paths: Mapping[str, str]
    #: The platform's own passing troubles: throttles, hiccups, errors inside HTTP 200.
    passing: tuple[Fault, ...]
    wrong_lists: Ways
    wrong_reports: Ways
    #: Faults of the listing that only a person can mend, and what they are to be raised as.
    blocked: tuple[tuple[Fault, type[Blocked]], ...]
    #: A status word nobody knows, and the fault that puts it into the listing.
    unknown_statuses: Mapping[str, Fault]
    #: Whether the platform has a change history that is read.
    change_history: bool = True
    #: Variables of the platform, such as the address of its token exchange.
    variables: Mapping[str, str] = field(default_factory=dict)
    #: Whether one answer may hold everything, as a stream does.
    one_request_is_enough: bool = False
