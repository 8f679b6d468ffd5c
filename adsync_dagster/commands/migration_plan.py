"""What `adsync migrate --dry-run` says of a rehearsal."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.output import say, write_json
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from adsync_dagster.warehouse.rehearsal import MigrationPlan, TableChange

#: What a table lock keeps others from doing.
_LOCK_WORDS = {
    "AccessExclusiveLock": "nobody else reads or writes it meanwhile",
    "ExclusiveLock": "others only read it meanwhile",
    "ShareRowExclusiveLock": "others only read it meanwhile",
    "ShareLock": "others only read it meanwhile",
}
_KINDS = (
    ("column", "columns"),
    ("constraint", "constraints"),
    ("index", "indexes"),
    ("trigger", "triggers"),
)


def tell(plan: MigrationPlan, *, as_json: bool) -> ExitCode:
    """Write the plan; USAGE when a step would refuse, else OK."""
    code = ExitCode.USAGE if plan.refusal is not None else ExitCode.OK
    if as_json:
        write_json({"pending": [step.name for step in plan.steps], **asdict(plan)})
        return code
    if not plan.steps:
        say("the database is current")
        return code
    for step in plan.steps:
        say(f"{step.name}: {step.summary}")
    say("")
    for table in plan.tables:
        _tell_table(table)
    for word, names in (("functions", plan.functions), ("views, new or made anew", plan.views)):
        if names:
            say(f"{word}: {', '.join(names)}")
    say(_closing(plan))
    return code


def _tell_table(change: TableChange) -> None:
    if change.is_new:
        say(f"{change.table}: new, {counted(len(change.added.get('column', [])), 'column')}")
        return
    facts = ["there already"]
    if change.rows is not None:
        facts.append(counted(change.rows, "row"))
    if change.lock in _LOCK_WORDS:
        facts.append(_LOCK_WORDS[change.lock])
    if change.is_rewritten:
        facts.append(f"written anew ({change.size_bytes / 1_000_000:,.1f} MB)")
    say(f"{change.table}: {', '.join(facts)}")
    for kind, plural in _KINDS:
        for sign, found in (("+", change.added.get(kind)), ("~", change.changed.get(kind))):
            if found:
                say(f"  {sign} {plural}: {', '.join(found)}")


def _closing(plan: MigrationPlan) -> str:
    steps = counted(len(plan.steps), "step")
    if plan.refusal is not None:
        return (
            f"{plan.refused_by} would refuse: {plan.refusal}."
            " Steps before it would be applied, no row is lost; nothing was changed now"
        )
    if plan.not_rehearsed is not None:
        return f"{steps} to apply, not rehearsed: {plan.not_rehearsed}"
    return (
        f"{steps} to apply; rehearsed in {plan.seconds:.1f} s and rolled back, nothing was changed"
    )
