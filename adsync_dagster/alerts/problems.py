"""A problem that a person should know of: what it is called, what is said of it, what to do.

A problem holds no more than a message may show: an account's name and key, a reason's word, a
count, dates, the id of a run. Error texts and numbers of ads are not in it, so no way of telling
can give them away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from adsync_dagster.warehouse.alerts import ProblemRow

NAME_CHARACTERS_MAX = 80
#: Accounts of failed runs that are remembered until a later run succeeded for them.
ACCOUNTS_MAX = 2000


class Kind(StrEnum):
    """The kinds of problems, the gravest first."""

    WAREHOUSE = "warehouse_unreachable"
    BLOCKED_ACCOUNT = "blocked_account"
    BLOCKED_CHANGES = "blocked_changes"
    OVERDUE_CHANGES = "overdue_changes"
    RESIDUALS = "unexplained_residuals"
    FAILED_CHECK = "failed_check"
    FAILED_RUN = "failed_run"


#: Kinds that `problems_now` finds in the warehouse.
WAREHOUSE_KINDS = (
    Kind.BLOCKED_ACCOUNT,
    Kind.BLOCKED_CHANGES,
    Kind.OVERDUE_CHANGES,
    Kind.RESIDUALS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong."""

    kind: Kind
    #: What it is about: an account's key, a check, or a job and its accounts.
    subject: str
    #: The account's name on the platform; empty for what is about no single account.
    name: str = ""
    #: The reason's word, such as `credential`.
    reason: str = ""
    #: Changes, days, rows or runs, as the kind has it.
    count: int = 0
    #: ISO instants in UTC or account days; empty where unknown.
    since: str = ""
    until: str = ""
    #: The last failed run of it, and when it ended (seconds since 1970, real time).
    run_id: str = ""
    ended: float = 0.0
    #: Keys of the accounts that failed runs were about.
    accounts: tuple[str, ...] = ()
    #: Path of the asset it shows on, parts separated by slashes.
    asset: str = ""
    #: What to do, for kinds whose advice comes from elsewhere (checks).
    advice: str = ""

    @property
    def id(self) -> str:
        """The same for as long as the problem lasts."""
        return ":".join(part for part in (self.kind.value, self.subject, self.reason) if part)

    def facts(self) -> dict[str, Any]:
        """The problem as JSON."""
        return {name: value for name, value in asdict(self).items() if value}

    def after(self, known: Problem | None) -> Problem:
        """This failure of a run, added to what is known of earlier ones."""
        if known is None:
            return replace(self, count=1)
        accounts = tuple(dict.fromkeys((*self.accounts, *known.accounts)))[:ACCOUNTS_MAX]
        return replace(self, count=known.count + 1, since=known.since, accounts=accounts)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Problem:
        """The problem back from its JSON; what another version wrote beside it is left out."""
        known = {name: facts[name] for name in cls.__dataclass_fields__ if name in facts}
        known["accounts"] = tuple(facts.get("accounts", ()))
        return cls(**{**known, "kind": Kind(facts["kind"])})

    @classmethod
    def from_row(cls, row: ProblemRow, asset: str) -> Problem:
        """The problem that a row of `problems_now` stands for."""
        first = row.since_day.isoformat() if row.since_day else instant(row.since)
        return cls(
            kind=Kind(row.kind),
            subject=row.account,
            name=plain(row.name or ""),
            reason=row.reason or "",
            count=row.count,
            since=first,
            until=row.until_day.isoformat() if row.until_day else "",
            asset=asset,
        )


def instant(moment: datetime | None) -> str:
    """An instant as messages show it: to the minute, as the warehouse's connection has it (UTC)."""
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M UTC")


def plain(text: str) -> str:
    """A name from a platform, on one line, without control characters, cut to a length."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[
        :NAME_CHARACTERS_MAX
    ]


def describe(problem: Problem) -> str:
    """What is wrong, in one sentence."""
    return _SENTENCES[problem.kind](problem)


def advice(problem: Problem) -> str:
    """What to do about it, in one sentence."""
    if problem.advice:
        return problem.advice
    if problem.kind in {Kind.BLOCKED_ACCOUNT, Kind.BLOCKED_CHANGES}:
        return _FOR_REASON.get(problem.reason, "Read the reason in `adsync status`.")
    return _FOR_KIND[problem.kind]


def _whose(problem: Problem) -> str:
    return f"{problem.name} ({problem.subject})" if problem.name else problem.subject


def _since(problem: Problem) -> str:
    return f" since {problem.since}" if problem.since else ""


def _final_syncs(count: int) -> str:
    return "1 final sync" if count == 1 else f"{count} final syncs"


def _blocked_account(problem: Problem) -> str:
    owed = f"; it owes {_final_syncs(problem.count)}" if problem.count else ""
    return f"{_whose(problem)} is blocked: {problem.reason}{_since(problem)}{owed}"


def _blocked_changes(problem: Problem) -> str:
    verb = "waits" if problem.count == 1 else "wait"
    return (
        f"{_final_syncs(problem.count)} of {_whose(problem)} {verb} for a person:"
        f" {problem.reason}{_since(problem)}"
    )


def _overdue(problem: Problem) -> str:
    verb = "is" if problem.count == 1 else "are"
    return f"{_final_syncs(problem.count)} of {_whose(problem)} {verb} overdue{_since(problem)}"


def _residuals(problem: Problem) -> str:
    days = "1 day" if problem.count == 1 else f"{problem.count} days"
    span = problem.since if problem.since == problem.until else f"{problem.since}..{problem.until}"
    return (
        f"{days} of {_whose(problem)} ({span}) without a reason why rows and the platform's"
        " total differ"
    )


def _check(problem: Problem) -> str:
    found = f": {problem.count} found" if problem.count else ""
    return f"Check {problem.reason} of {problem.subject} fails{_since(problem)}{found}"


def _run(problem: Problem) -> str:
    times = f" {problem.count} times, last" if problem.count > 1 else ""
    first, *others = problem.accounts or ("",)
    more = f" and {len(others)} more accounts" if len(others) > 1 else ""
    more = f" and {others[0]}" if len(others) == 1 else more
    about = f" ({first}{more})" if first else ""
    return f"Run of {problem.subject} failed{times} at {problem.until or problem.since}{about}"


_SENTENCES = {
    Kind.WAREHOUSE: lambda problem: f"The warehouse cannot be used{_since(problem)}",
    Kind.BLOCKED_ACCOUNT: _blocked_account,
    Kind.BLOCKED_CHANGES: _blocked_changes,
    Kind.OVERDUE_CHANGES: _overdue,
    Kind.RESIDUALS: _residuals,
    Kind.FAILED_CHECK: _check,
    Kind.FAILED_RUN: _run,
}

_FOR_REASON = {
    "credential": (
        "Store a new token with `adsync accounts add`; the next sync goes on by itself."
    ),
    "permission": (
        "Give the credential its right to read back on the platform; the next sync goes on by"
        " itself."
    ),
    "account": (
        "Look at the account on the platform; if it is gone for good, `adsync accounts remove` it."
    ),
}

_FOR_KIND = {
    Kind.WAREHOUSE: "Run `adsync doctor`: it says what is wrong with the database.",
    Kind.OVERDUE_CHANGES: (
        "Is the daemon up and status_change_sensor on? Run `adsync final-sync` for the account."
    ),
    Kind.RESIDUALS: "Sync these days again: `adsync sync` with --from and --until.",
    Kind.FAILED_CHECK: "Read the check's rows in Dagster, or run `adsync verify`.",
    Kind.FAILED_RUN: "Read the run's log in Dagster; nothing unfinished was written.",
}
