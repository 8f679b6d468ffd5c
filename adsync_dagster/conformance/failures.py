"""Reads of a wire that misbehaves: the whole truth or the right error, and never fewer rows."""

from __future__ import annotations

from adsync_dagster.conformance.stage import Check, NotConforming, Outcome, Stage
from adsync_dagster.conformance.subject import (
    WRONG_LISTS,
    WRONG_REPORTS,
    Fault,
    Ways,
)
from adsync_dagster.errors import CredentialBlocked, Defect, Retryable
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import Level

#: What goes wrong with HTTP anywhere: connections, bodies, statuses.
PLAIN = (
    Fault(name="reset"),
    Fault(name="reset_mid_body"),
    Fault(name="long_content_length", options={"extra": 10}),
    Fault(name="html_body"),
    Fault(name="html_body", options={"status": 200}),
    Fault(name="empty_body"),
    Fault(name="cut_json"),
    Fault(name="invalid_json"),
    Fault(name="not_a_number"),
    Fault(name="deep_json"),
    Fault(name="http_status", options={"status": 500}),
    Fault(name="http_status", options={"status": 503, "retry_after": 3}),
    Fault(name="http_status", options={"status": 429}),
    Fault(name="gzip_bomb", options={"bytes": 6_000_000}),
    Fault(name="huge_body", options={"bytes": 5_000_000}),
)


def a_passing_fault_costs_a_try_or_the_read(stage: Stage) -> None:
    """One bad answer, the first or a later one: the read is whole, or Retryable."""
    problems = []
    for name, path in stage.subject.paths.items():
        begin = stage.reads()[name]
        for fault in (*PLAIN, *stage.subject.passing):
            for skip in (0, 1):
                with stage.armed(fault, path, lasting=False, skip=skip):
                    outcome = stage.run(begin())
                problems += _judged(stage, name, fault, outcome)
    stage.require(problems, "a passing fault changed the truth:")


def a_lasting_fault_ends_the_read(stage: Stage) -> None:
    """An answer that is bad every time is Retryable in the end, unless there is another way to the
    whole truth; it is never for good, and never fewer rows."""
    problems = []
    for name, path in stage.subject.paths.items():
        begin, strikes = stage.reads()[name], 0
        for fault in (*PLAIN, *stage.subject.passing):
            with stage.armed(fault, path, lasting=True) as rule:
                outcome = stage.run(begin())
            strikes += rule.fired
            problems += _judged(stage, name, fault, outcome)
        if not strikes:
            problems.append(f"{name}: no fault ever struck; its path in the subject is wrong")
    stage.require(problems, "a lasting fault is not told for what it is:")


def _judged(stage: Stage, name: str, fault: Fault, outcome: Outcome) -> list[str]:
    """What is wrong with the end of a read that met a fault."""
    if outcome.error is None:
        found = stage.problems(name, outcome.records)
        return [f"{name} after {_words(fault)}: {text}" for text in found[:2]]
    if isinstance(outcome.error, Retryable):
        return []
    return [f"{name}: {_words(fault)} ends as {type(outcome.error).__name__}"]


def a_wrong_list_is_never_believed(stage: Stage) -> None:
    """Pages that lie about where they end, and rows that are not ours, end the read."""
    _never_believed(stage, "list", WRONG_LISTS, stage.subject.wrong_lists)


def a_wrong_report_is_never_believed(stage: Stage) -> None:
    """Rows of other days or without numbers end the read, and so do missing ones where the platform
    counts them."""
    _never_believed(stage, "report", WRONG_REPORTS, stage.subject.wrong_reports)


def _never_believed(stage: Stage, name: str, required: tuple[str, ...], ways: Ways) -> None:
    problems = [f"the subject says nothing of {way!r}" for way in required if way not in ways]
    path, begin = stage.subject.paths[name], stage.reads()[name]
    for way, faults in ways.items():
        if isinstance(faults, str):
            if not faults.strip():
                problems.append(f"{way}: the subject gives no reason why it cannot happen")
            continue
        if not faults:
            problems.append(f"{way}: the subject names no fault")
        for fault in faults:
            with stage.armed(fault, path, lasting=True) as rule:
                outcome = stage.run(begin())
            if not rule.fired:
                problems.append(f"{way}: {_words(fault)} never struck")
            elif outcome.error is None:
                problems.append(f"{way}: {_words(fault)} is taken for complete")
            elif not isinstance(outcome.error, Retryable):
                problems.append(f"{way} ends as {type(outcome.error).__name__}")
    stage.require(problems, f"a {name} that is wrong would be believed:")


def what_a_person_must_mend_is_asked_once(stage: Stage) -> None:
    """Dead credentials and missing rights are Blocked of the right kind, without another try."""
    kinds = {kind for _, kind in stage.subject.blocked}
    problems = []
    if CredentialBlocked not in kinds or not kinds - {CredentialBlocked}:
        problems.append("the subject names no dead credential, or no missing right")
    for fault, kind in stage.subject.blocked:
        before = len(stage.subject.simulator.requests)
        with stage.armed(fault, stage.subject.paths["list"], lasting=True):
            outcome = stage.run(stage.adapter.list_entities(stage.account, Level.AD, stage.now))
        if type(outcome.error) is not kind:
            problems.append(f"{_words(fault)} is {outcome.error!r}, not {kind.__name__}")
        # One exchange of a token may come before it.
        if len(stage.subject.simulator.requests) - before > 2:
            problems.append(f"{_words(fault)} is asked again and again")
    stage.require(problems, "what needs a person is not told as such:")


def another_credential_is_refused(stage: Stage) -> None:
    """A credential without its values is blocked before anything is sent."""
    try:
        stage.adapter.headers(Credential({}))
    except CredentialBlocked:
        return
    raise NotConforming("an empty credential is sent to the platform")


def a_redirect_is_an_alarm(stage: Stage) -> None:
    """Nobody follows it: it could lead the credential anywhere."""
    with stage.armed(Fault(name="redirect"), stage.subject.paths["list"], lasting=True):
        outcome = stage.run(stage.adapter.list_entities(stage.account, Level.AD, stage.now))
    if not isinstance(outcome.error, Defect):
        raise NotConforming(f"a redirect ends as {outcome.error!r}")


def the_world_may_move_between_two_pages(stage: Stage) -> None:
    """An ad deleted and one paused while a list is read hide no other ad."""
    before = stage.truth.entities(Level.AD)
    going = [key for key, facts in before.items() if facts.effective_status == "ACTIVE"][:2]

    def move() -> None:
        stage.world.delete("ad", going[0])
        stage.world.pause("ad", going[1])

    fault = Fault(name="call", options={"do": move}, skip=1)
    with stage.armed(fault, stage.subject.paths["list"], lasting=False):
        outcome = stage.run(stage.adapter.list_entities(stage.account, Level.AD, stage.now))
    if outcome.error is not None:
        if not isinstance(outcome.error, Retryable):
            raise NotConforming(f"a list that moves ends as {outcome.error!r}")
        return
    seen = {getattr(record, "platform_id", "") for record in outcome.records}
    hidden = [
        key for key, facts in before.items() if not facts.deleted and key not in {*seen, *going}
    ]
    stage.require(hidden, "ads are hidden by the deletion of their neighbours:")


def _words(fault: Fault) -> str:
    return f"{fault.name} {dict(fault.options) or ''}".strip()


CHECKS: tuple[Check, ...] = (
    a_passing_fault_costs_a_try_or_the_read,
    a_lasting_fault_ends_the_read,
    a_wrong_list_is_never_believed,
    a_wrong_report_is_never_believed,
    what_a_person_must_mend_is_asked_once,
    another_credential_is_refused,
    a_redirect_is_an_alarm,
    the_world_may_move_between_two_pages,
)
