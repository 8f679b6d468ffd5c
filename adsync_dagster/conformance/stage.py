"""A subject under test: its world set in motion, its reads run and watched."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from adsync_dagster.conformance.subject import Fault, Subject
from adsync_dagster.conformance.truth import Truth
from adsync_dagster.errors import AdsyncError, UsageError
from adsync_dagster.platforms.protocol import Credential, Read, Record, Request, Response, Step
from adsync_dagster.records import Complete, DateRange, Level
from adsync_dagster.simulator.faults import Rule
from adsync_dagster.simulator.world import EntityView
from adsync_dagster.transport import PlatformClient, TransportLimits
from adsync_dagster.transport.access import AccessTokens, GrantedCredential
from adsync_dagster.transport.exchange import CredentialSource

LIMITS = TransportLimits(
    read_seconds=5.0, request_seconds=10.0, response_bytes_max=4_000_000, attempts_max=3
)
_SECRET_LENGTH_MIN = 8
_LIVE_ADS_MIN = 4
#: Problems that are shown of one check.
_SHOWN_MAX = 8


class NotConforming(AssertionError):
    """The adapter breaks a promise that the engine relies on."""


@dataclass(slots=True)
class Outcome:
    """What became of a read."""

    steps: list[Step] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    verdict: Complete | None = None
    error: AdsyncError | None = None

    @property
    def requests(self) -> list[Request]:
        return [step for step in self.steps if isinstance(step, Request)]


class Stage:
    """One check's run. The account has entities in every status when it begins."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.adapter = subject.adapter
        self.account = subject.account_id
        self.world = subject.simulator.world
        self.truth = Truth(self.world, self.account)
        self.outcomes: list[Outcome] = []
        self._log = _LogOfTexts()
        self._stir()

    def __enter__(self) -> Self:
        self._level = logging.getLogger().level
        logging.getLogger().addHandler(self._log)
        logging.getLogger().setLevel(logging.DEBUG)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        logging.getLogger().removeHandler(self._log)
        logging.getLogger().setLevel(self._level)
        self.subject.simulator.faults.disarm()

    # Time

    @property
    def now(self) -> Any:
        return self.world.clock.now()

    @property
    def recent(self) -> DateRange:
        """The last four account days."""
        today = self.truth.today()
        return DateRange(since=today - timedelta(days=3), until=today)

    @property
    def history(self) -> DateRange:
        """Every day of the account."""
        return DateRange(since=self.truth.first_day(), until=self.truth.today())

    # Reading

    def run(self, read: Read) -> Outcome:
        """Run a read to whatever end it has."""
        outcome = Outcome()
        self.outcomes.append(outcome)
        client = self.client()
        try:
            outcome.verdict = client.run(watched(read, outcome.steps), outcome.records.extend)
        except AdsyncError as error:
            outcome.error = error
        finally:
            client.close()
        return outcome

    def read(self, read: Read) -> Outcome:
        """Run a read that has to end well."""
        outcome = self.run(read)
        if outcome.error is not None:
            raise NotConforming(f"the read failed without a reason: {outcome.error!r}")
        return outcome

    def client(self) -> PlatformClient:
        """A client with a quota and connections of its own."""
        return PlatformClient(
            self.adapter,
            self.subject.base_url,
            self._source(),
            self.world.clock,
            limits=LIMITS,
            random_share=lambda: 0.0,
        )

    def _source(self) -> Credential | CredentialSource:
        plugin, credential = self.subject.plugin, self.subject.credential
        if plugin.grant is None:
            return credential
        settings = plugin.settings(self.subject.variables, history_days=90, recent_days=3)
        words, url = plugin.grant(settings)
        tokens = AccessTokens(words, url, credential, self.world.clock, limits=LIMITS)
        return GrantedCredential(words, credential, tokens)

    def reads(self) -> dict[str, Callable[[], Read]]:
        """Every kind of read there is, of ads where it has a level, ready to begin."""
        adapter, account, ad, now = self.adapter, self.account, Level.AD, self.now
        ids = self.truth.ids(ad)
        return {
            "account": lambda: adapter.read_account(account, now),
            "list": lambda: adapter.list_entities(account, ad, now),
            "look_up": lambda: adapter.lookup_entities(account, ad, ids, now),
            "report": lambda: adapter.report(account, ad, self.recent, now),
            "report of all days": lambda: adapter.report(account, ad, self.history, now),
            "totals": lambda: adapter.report_totals(account, self.recent, now),
            "report_by_id": lambda: adapter.report_entities(account, ad, ids, self.recent, now),
            "changes": lambda: adapter.read_change_history(
                account, now - timedelta(hours=6), now, now
            ),
        }

    def problems(self, name: str, records: Iterable[Record]) -> list[str]:
        """What is wrong with the records of a read that claims to be complete."""
        ad, truth = Level.AD, self.truth
        if name == "list":
            return truth.problems_of_list(ad, records)
        if name == "look_up":
            return truth.problems_of_look_up(ad, records, truth.ids(ad))
        if name == "report":
            return truth.problems_of_report(ad, self.recent, records)
        return truth.problems_of_report(ad, self.recent, records, whole=True)

    # Faults

    @contextlib.contextmanager
    def armed(self, fault: Fault, path: str, *, lasting: bool, skip: int = 0) -> Iterator[Rule]:
        """The fault strikes once, or as long as the block lasts; the rule counts its strikes."""
        faults = self.subject.simulator.faults
        rule = faults.arm(
            fault.name,
            path=path if fault.path is None else fault.path,
            count=None if lasting else 1,
            skip=fault.skip + skip,
            **fault.options,
        )
        try:
            yield rule
        finally:
            faults.disarm()

    # Judging

    @staticmethod
    def require(problems: list[str], why: str) -> None:
        """Raise NotConforming when there are any."""
        if problems:
            more = len(problems) - _SHOWN_MAX
            shown = [*problems[:_SHOWN_MAX], *([f"and {more} more"] if more > 0 else [])]
            raise NotConforming("\n  ".join([why, *shown]))

    def require_secrecy(self) -> None:
        """No value of the credential shows in what was asked, raised, logged or printed."""
        secrets = {
            value
            for value in self.subject.credential.values.values()
            if len(value) >= _SECRET_LENGTH_MIN
        }
        if not secrets:
            raise NotConforming("the subject's credential has no value long enough to search for")
        texts = [("the adapter's repr", repr(self.adapter)), *self._log.texts]
        for name, value in self.adapter.parameters(self.subject.credential).items():
            texts.append((f"the parameter {name}", value))
        for outcome in self.outcomes:
            texts += [("a request", _text_of(request)) for request in outcome.requests]
            texts += [("an error", text) for text in _texts_of(outcome.error)]
        shown = [where for where, text in texts if any(secret in text for secret in secrets)]
        self.require(sorted(set(shown)), "a credential shows, and would be kept by Dagster:")

    def _stir(self) -> None:
        """Put entities of every level into every status, children under stopped parents too."""
        world, plugin = self.world, self.subject.plugin
        empty = self.subject.empty_account_id
        world.add_account(plugin.key, empty, campaigns=0, adsets=0, ads=0, history_days=3)
        world.delete("campaign", self._smallest("campaign_id"))
        world.delete("adset", self._smallest("adset_id"))
        world.pause("adset", self._smallest("adset_id"))
        world.delete("ad", self._live()[0].id)
        world.pause("ad", self._live()[0].id)
        world.set_hold("ad", self._live()[0].id, "DISAPPROVED")
        with contextlib.suppress(UsageError):
            world.archive("ad", self._live()[0].id)

    def _smallest(self, parent: str) -> str:
        """The parent with the fewest ads that deliver, so that enough of them are left."""
        return Counter(str(getattr(ad, parent)) for ad in self._live()).most_common()[-1][0]

    def _live(self) -> list[EntityView]:
        ads = self.world.entities(self.account, "ad")
        live = [ad for ad in ads if ad.effective == "ACTIVE"]
        if len(live) < _LIVE_ADS_MIN:
            raise NotConforming("the subject's account has too few ads: add more of them")
        return live


Check = Callable[[Stage], None]


def watched(read: Read, steps: list[Step]) -> Generator[Step, Response | None, Complete]:
    """The read itself, with every step it takes put into the list."""
    try:
        step = next(read)
        while True:
            steps.append(step)
            try:
                sent = yield step
            except GeneratorExit:
                read.close()
                raise
            except AdsyncError as error:
                step = read.throw(error)
            else:
                step = read.send(sent)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


class _LogOfTexts(logging.Handler):
    """Keeps what is logged, tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[tuple[str, str]] = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append((f"the log {record.name}", self.format(record)))


def _text_of(request: Request) -> str:
    return repr(request) + repr((request.params, request.form, request.json))


def _texts_of(error: BaseException | None) -> Iterator[str]:
    """The error and what it came from, as anything that prints it would."""
    while error is not None:
        yield f"{error} {error!r} {error.args!r}"
        error = error.__cause__ or error.__context__
