"""The contract of reads: what they yield, how they end, and that they only read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from adsync_dagster.conformance.stage import Check, NotConforming, Stage
from adsync_dagster.errors import (
    AdsyncError,
    CredentialBlocked,
    IncompleteRead,
    PlatformBusy,
    UsageError,
)
from adsync_dagster.platforms.protocol import NextElement, Pause, Read, Request, Rows
from adsync_dagster.records import Level

_STEPS_MAX = 5_000
_NO_ACCOUNTS = ("", " ", "../1", "1/2", "1?x=1", "a b", "1\n2", "é", "1" * 200, "'; DROP TABLE")


def it_is_what_its_plugin_says(stage: Stage) -> None:
    """The plugin makes an adapter of this kind, with the plugin's key and the settings' rules."""
    plugin = stage.subject.plugin
    rules = {f"ADSYNC_{plugin.key.upper()}_WINDOW_DAYS": "5"}
    settings = plugin.settings({**stage.subject.variables, **rules}, history_days=11, recent_days=2)
    made = plugin.adapter(settings)
    problems = []
    if made.key != plugin.key or stage.adapter.key != plugin.key:
        problems.append(f"the adapter's key is {made.key}, the plugin's {plugin.key}")
    if made.rules != settings.rules:
        problems.append("the adapter does not take windows and margins from its settings")
    if type(made) is not type(stage.adapter):
        problems.append("the subject's adapter is not of the kind that the plugin makes")
    stage.require(problems, "the plugin and its adapter disagree:")


def account_ids_have_one_spelling(stage: Stage) -> None:
    """An id is normalised once and for all, and what is no id is refused: it becomes part of URLs
    and of Dagster's partition keys."""
    normalise, problems = stage.adapter.normalise_account_id, []
    if normalise(f" {stage.account} ") != stage.account:
        problems.append(f"blanks around {stage.account} change the account")
    for text in _NO_ACCOUNTS:
        try:
            problems.append(f"{text!r} is taken for the account {normalise(text)!r}")
        except UsageError:
            continue
    stage.require(problems, "account ids are not safe:")


def reads_end_with_a_verdict(stage: Stage) -> None:
    """Every kind of read yields steps that a driver knows and ends with a true verdict."""
    problems = []
    for name, begin in stage.reads().items():
        started = stage.now
        outcome = stage.read(begin())
        verdict = outcome.verdict
        assert verdict is not None  # noqa: S101 - `read` raises otherwise
        known = (Request, Rows, Pause, NextElement)
        strange = [step for step in outcome.steps if not isinstance(step, known)]
        if strange:
            problems.append(f"{name} yields a {type(strange[0]).__name__}")
        if verdict.read_started_at != started:
            problems.append(f"{name} does not say when it started")
        if verdict.row_count != len(outcome.records):
            problems.append(f"{name} counts {verdict.row_count} of {len(outcome.records)} rows")
        if verdict.request_count != len(outcome.requests):
            problems.append(f"{name} counts {verdict.request_count} of its requests")
        paged = name in stage.subject.paths and not stage.subject.one_request_is_enough
        if paged and len(outcome.requests) < 2:
            problems.append(f"{name} takes one request: make the subject's pages smaller")
        problems += [f"{name}: {text}" for text in _badly_asked(outcome.steps)]
    stage.require(problems, "reads are not what drivers expect:")


def _badly_asked(steps: Sequence[object]) -> list[str]:
    """Requests that cannot be joined to a base URL, and announced ones that never come."""
    problems = []
    announced: Request | None = None
    for step in steps:
        if isinstance(step, Rows):
            announced = step.ahead
        elif isinstance(step, Request):
            if not step.path.startswith("/") or "?" in step.path:
                problems.append(f"the path {step.path.partition('?')[0]} holds more than a path")
            if not step.purpose:
                problems.append(f"{step.path} does not say what is being read")
            if announced is not None and step is not announced:
                problems.append(f"{step.path} is not the request that was announced with the rows")
            announced = None
    return problems


def an_error_is_never_swallowed(stage: Stage) -> None:
    """When every request fails, every read fails, with an error of the same family."""
    problems = []
    failures: tuple[Callable[[], AdsyncError], ...] = (
        lambda: PlatformBusy("busy"),
        lambda: IncompleteRead("half"),
        lambda: CredentialBlocked("dead"),
    )
    for failure in failures:
        for name, begin in stage.reads().items():
            told = _end_of(begin(), failure)
            if told != failure().family:
                problems.append(f"{name} ends {told} when every request is {failure().family}")
    stage.require(problems, "an error was taken for an answer, which loses data for good:")


def _end_of(read: Read, failure: Callable[[], AdsyncError]) -> str:
    """The family of the read's error when each of its requests fails."""
    asked = False
    try:
        step = next(read)
        for _ in range(_STEPS_MAX):
            if isinstance(step, Request | NextElement):
                asked = True
                step = read.throw(failure())
            else:
                step = read.send(None)
    except StopIteration:
        return "complete" if asked else failure().family
    except AdsyncError as error:
        return error.family
    return "never"


def a_read_can_be_given_up(stage: Stage) -> None:
    """Closing a read at any step ends it; an error of the caller's passes through untouched."""

    class GivenUp(Exception):
        pass

    def refuse(_: object) -> None:
        raise GivenUp

    problems = []
    client = stage.client()
    for name, begin in stage.reads().items():
        read = begin()
        if next(read, None) is None:
            continue
        try:
            read.close()
            client.run(begin(), refuse)
        except GivenUp:
            continue
        except RuntimeError as error:
            problems.append(f"{name} does not end when it is closed: {error}")
    client.close()
    stage.require(problems, "a read that is given up has to end:")


def nothing_is_written(stage: Stage) -> None:
    """GET, and POST only to paths that `may_post` knows; a path that is read by GET alone is none
    of them, since a POST there would write."""
    requests = []
    for begin in stage.reads().values():
        requests += stage.read(begin()).requests
    may_post = stage.adapter.may_post
    posted = {request.path for request in requests if request.method == "POST"}
    problems = [
        f"{request.method} {request.path}"
        for request in requests
        if request.method != "GET" and not (request.method == "POST" and may_post(request.path))
    ]
    problems += [
        f"may_post allows {request.path}"
        for request in requests
        if request.path not in posted and may_post(request.path)
    ]
    problems += [f"may_post allows {path}" for path in ("/", "", "/x", "//") if may_post(path)]
    stage.require(problems, "the adapter could change something on the platform:")


def the_credential_stays_secret(stage: Stage) -> None:
    """All reads, one that fails with a dead credential included, show none of its values."""
    for begin in stage.reads().values():
        stage.run(begin())
    for fault, _ in stage.subject.blocked:
        with stage.armed(fault, stage.subject.paths["list"], lasting=True):
            stage.run(stage.adapter.list_entities(stage.account, Level.AD, stage.now))
    if not any(outcome.error for outcome in stage.outcomes):
        raise NotConforming("no fault that needs a person was noticed")
    asked = stage.subject.simulator.requests
    if not asked or any(re.search(r"[?#]", seen.path) for seen in asked):
        raise NotConforming("a query is part of a path")


CHECKS: tuple[Check, ...] = (
    it_is_what_its_plugin_says,
    account_ids_have_one_spelling,
    reads_end_with_a_verdict,
    an_error_is_never_swallowed,
    a_read_can_be_given_up,
    nothing_is_written,
    the_credential_stays_secret,
)
