"""Reads of a well-behaved wire: everything the ledger holds, and nothing else."""

from __future__ import annotations

from datetime import timedelta

from adsync_dagster.conformance.stage import Check, NotConforming, Stage
from adsync_dagster.conformance.truth import amounts_told
from adsync_dagster.errors import UsageError
from adsync_dagster.records import LEVELS, AccountInfo, ChangeHint, DayTotals, Entity, Level
from adsync_dagster.status import OwnStatus

_ABSURD_NAMES = (
    " ",
    "'; DROP TABLE; --",
    "\u202egnitluaf\u202c",
    "line\nbreak\ttab",
    "\U0001d518 \U0001f9e8 e\u0301",
    '{"name": null}',
    "NaN",
    "</script>",
    "x" * 3_000,
)


def the_account_is_described(stage: Stage) -> None:
    """Id, name, currency and time zone are the platform's; days and money depend on them."""
    truth = stage.world.account(stage.account)
    outcome = stage.read(stage.adapter.read_account(stage.account, stage.now))
    infos = [record for record in outcome.records if isinstance(record, AccountInfo)]
    if len(infos) != 1 or len(outcome.records) != 1:
        raise NotConforming(f"one account was asked for, {len(outcome.records)} were described")
    (info,) = infos
    told = (info.platform_account_id, info.name, info.currency, info.timezone, info.readable)
    if told != (truth.id, truth.name, truth.currency, truth.timezone, True) or not info.status:
        raise NotConforming(f"the account is {truth.id} in {truth.timezone}, and is told as {told}")


def accounts_are_discovered(stage: Stage) -> None:
    """The credential's accounts are listed, or it is said how to add them one by one."""
    try:
        outcome = stage.run(stage.adapter.read_accounts(stage.now))
    except UsageError as error:
        if "--account" not in str(error):
            raise NotConforming("discovery is refused without saying what to do") from None
        return
    if isinstance(outcome.error, UsageError) and "--account" in str(outcome.error):
        return
    infos = [record for record in outcome.records if isinstance(record, AccountInfo)]
    found = {info.platform_account_id for info in infos}
    missing = {stage.account, stage.subject.empty_account_id} - found
    stage.require(sorted(missing), "discovery leaves out accounts:")


def lists_leave_out_nothing_but_the_deleted(stage: Stage) -> None:
    """Paused, archived and refused entities are listed at every level, as they are."""
    problems = []
    for level in LEVELS:
        outcome = stage.read(stage.adapter.list_entities(stage.account, level, stage.now))
        problems += stage.truth.problems_of_list(level, outcome.records)
    stage.require(problems, "a list is not the truth, and its stops would go unnoticed:")


def look_ups_find_everyone(stage: Stage) -> None:
    """By id everything that ever was is found, the deleted too; unknown ids are named."""
    problems = []
    for level in LEVELS:
        ids, unknown = stage.truth.ids(level), stage.subject.unknown_ids[level]
        outcome = stage.read(
            stage.adapter.lookup_entities(stage.account, level, [*ids, unknown], stage.now)
        )
        problems += stage.truth.problems_of_look_up(level, outcome.records, ids)
        missing = outcome.verdict.missing_ids if outcome.verdict else frozenset()
        if missing != {unknown}:
            problems.append(f"{level}s called missing are {set(missing)}, not {unknown}")
    stage.require(problems, "a look-up is not the truth, and deleted entities would be lost:")


def reports_are_the_ledger(stage: Stage) -> None:
    """Every row of what is not deleted, at three levels, to the millionth; of few and many days."""
    problems = []
    for level in LEVELS:
        for days in (stage.recent, stage.history):
            outcome = stage.read(stage.adapter.report(stage.account, level, days, stage.now))
            problems += stage.truth.problems_of_report(level, days, outcome.records)
    stage.require(problems, "a report is not what happened:")


def reports_by_id_hold_the_deleted(stage: Stage) -> None:
    """The numbers of everything that ever was, by id: a final sync has no other way."""
    problems = []
    for level in LEVELS:
        for days in (stage.recent, stage.history):
            outcome = stage.read(
                stage.adapter.report_entities(
                    stage.account, level, stage.truth.ids(level), days, stage.now
                )
            )
            problems += stage.truth.problems_of_report(level, days, outcome.records, whole=True)
    stage.require(problems, "the last numbers of what was stopped are lost:")


def totals_are_the_ledger(stage: Stage) -> None:
    """The account's own totals hold the deleted too: they are what rows are checked against."""
    outcome = stage.read(stage.adapter.report_totals(stage.account, stage.history, stage.now))
    problems = stage.truth.problems_of_totals(stage.history, outcome.records)
    stage.require(problems, "totals are not what happened:")


def nothing_is_nothing(stage: Stage) -> None:
    """An account without entities is read completely, to no rows at all."""
    account, adapter, now = stage.subject.empty_account_id, stage.adapter, stage.now
    problems = []
    for level in LEVELS:
        for read in (
            adapter.list_entities(account, level, now),
            adapter.report(account, level, stage.recent, now),
            adapter.report_entities(account, level, [], stage.recent, now),
        ):
            records = stage.read(read).records
            problems += [f"{level}: {record!r:.80}" for record in records]
    totals = stage.read(adapter.report_totals(account, stage.recent, now)).records
    problems += [
        f"a total of {total.date}"
        for total in totals
        if isinstance(total, DayTotals) and any(amounts_told(total))
    ]
    stage.require(problems, "an empty account has rows:")


def names_are_only_names(stage: Stage) -> None:
    """Whatever somebody calls a campaign arrives as it is."""
    for entity, name in zip(stage.truth.ids(Level.AD), _ABSURD_NAMES, strict=False):
        stage.world.rename("ad", entity, name)
    outcome = stage.read(
        stage.adapter.lookup_entities(stage.account, Level.AD, stage.truth.ids(Level.AD), stage.now)
    )
    problems = stage.truth.problems_of_look_up(Level.AD, outcome.records, ())
    stage.require(problems, "a name changed on its way:")


def unknown_statuses_are_kept(stage: Stage) -> None:
    """A status word nobody knows is stored raw, in words we know beside it; nobody is refused."""
    problems = []
    for word, fault in stage.subject.unknown_statuses.items():
        with stage.armed(fault, stage.subject.paths["list"], lasting=True):
            records = stage.read(
                stage.adapter.list_entities(stage.account, Level.AD, stage.now)
            ).records
        entities = [record for record in records if isinstance(record, Entity)]
        if not entities:
            problems.append(f"{word}: nobody is listed any more")
        for entity in entities:
            if entity.status not in set(OwnStatus):
                problems.append(f"{entity.platform_id} has the own status {entity.status}")
            if word not in f"{entity.platform_status} {entity.effective_status}":
                problems.append(f"{entity.platform_id} lost the word {word}")
    stage.require(problems, "a new status of the platform's is not understood:")


def changes_between_polls_are_hinted_at(stage: Stage) -> None:
    """A pause and a resume that no list saw are told in order; or the platform tells none, and the
    adapter asks for none."""
    ads = stage.truth.entities(Level.AD)
    ad = next(key for key, facts in ads.items() if facts.effective_status == "ACTIVE")
    for act in (stage.world.pause, stage.world.resume):
        stage.world.advance(hours=1)
        act("ad", ad)
    stage.world.advance(hours=1)
    now = stage.now
    outcome = stage.read(
        stage.adapter.read_change_history(stage.account, now - timedelta(hours=4), now, now)
    )
    if not stage.subject.change_history:
        if outcome.steps:
            raise NotConforming("the platform has no change history, and it is asked for one")
        return
    hints = sorted(
        (
            hint
            for hint in outcome.records
            if isinstance(hint, ChangeHint) and hint.platform_id == ad and hint.old_status
        ),
        key=lambda hint: hint.occurred_at,
    )
    told = [(hint.old_status, hint.new_status) for hint in hints]
    if told != [("ACTIVE", "PAUSED"), ("PAUSED", "ACTIVE")]:
        raise NotConforming(f"an ad was paused and resumed, and the history tells {told}")
    for hint, truth in zip(hints, stage.world.ledger.statuses("ad", ad)[-2:], strict=True):
        if abs((hint.occurred_at - truth.time).total_seconds()) > 60:
            raise NotConforming(f"the change of {truth.time} is told as of {hint.occurred_at}")


CHECKS: tuple[Check, ...] = (
    the_account_is_described,
    accounts_are_discovered,
    lists_leave_out_nothing_but_the_deleted,
    look_ups_find_everyone,
    reports_are_the_ledger,
    reports_by_id_hold_the_deleted,
    totals_are_the_ledger,
    nothing_is_nothing,
    names_are_only_names,
    unknown_statuses_are_kept,
    changes_between_polls_are_hinted_at,
)
