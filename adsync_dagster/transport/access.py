"""Where an exchange gets its credential from: a fixed one, or one with an access token in it.

Google's stored credential is a refresh token, which is exchanged for access tokens of an hour.
One exchange serves every thread and account of a process that uses the same refresh token:
whoever finds the token about to end renews it, the others wait for the outcome, also when the
outcome is a refusal.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from adsync_dagster.clock import Clock
from adsync_dagster.errors import AdsyncError, Retryable
from adsync_dagster.platforms.protocol import Credential, Request, Response, TokenGrant
from adsync_dagster.transport.exchange import Exchange
from adsync_dagster.transport.limits import DEFAULT_LIMITS, TransportLimits
from adsync_dagster.transport.origin import parse_origin

#: A token is renewed this long before it ends, so that it does not end on its way.
RENEW_AHEAD_SECONDS = 60.0


class SendsGrants(Protocol):
    """What carries the exchange: `Exchange`, or a stand-in of it."""

    def send(self, request: Request) -> Response: ...


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """What the last exchange came to. Compared by identity: another object is a later one."""

    token: _Token | None = None
    failure: AdsyncError | None = None


class AccessTokens:
    """The access tokens of one refresh token, for all threads of a process."""

    def __init__(
        self,
        grant: TokenGrant,
        url: str,
        credential: Credential,
        clock: Clock,
        *,
        limits: TransportLimits = DEFAULT_LIMITS,
        exchange: SendsGrants | None = None,
    ) -> None:
        """`url` is the whole address of the token endpoint, `grant` says what goes there."""
        parts = urlsplit(url)
        self._grant = grant
        self._clock = clock
        self._exchange: SendsGrants = exchange or Exchange(
            grant, parse_origin(f"{parts.scheme}://{parts.netloc}"), credential, limits
        )
        self._lock = threading.Lock()
        self._outcome = _Outcome()

    def current(self) -> str:
        """A token that is good for a while; raises CredentialBlocked when none is given.

        PlatformBusy or IncompleteRead when the exchange itself fails: trying again helps.
        """
        outcome = self._outcome
        token = outcome.token
        if token is not None and self._clock.now() < token.renew_at:
            return token.value
        return self._renewed(outcome)

    def refuse(self, value: str) -> None:
        """The platform does not take this token any more: have another one."""
        outcome = self._outcome
        if outcome.token is not None and outcome.token.value == value:
            self._renewed(outcome)

    def _renewed(self, seen: _Outcome) -> str:
        """The token of an exchange that ended after `seen`, made here if nobody else does."""
        with self._lock:
            if self._outcome is seen:
                self._outcome = self._exchanged()
            outcome = self._outcome
        if outcome.token is None:
            raise _alike(outcome.failure)
        return outcome.token.value

    def _exchanged(self) -> _Outcome:
        started = self._clock.now()
        try:
            answer = self._grant.parse(self._exchange.send(self._grant.request()))
        except AdsyncError as error:
            # Its frames hold the answer, which holds a token.
            error.__traceback__ = None
            return _Outcome(failure=error)
        ahead = min(RENEW_AHEAD_SECONDS, answer.lifetime_seconds / 2)
        renew_at = started + timedelta(seconds=answer.lifetime_seconds - ahead)
        return _Outcome(token=_Token(answer.value, renew_at))


def _alike(failure: AdsyncError | None) -> AdsyncError:
    """The failure again, as an object of each thread's own."""
    if failure is None:
        return AdsyncError("no access token was ever asked for")
    if isinstance(failure, Retryable):
        wait = failure.retry_after_seconds
        return type(failure)(str(failure), retry_after_seconds=wait)
    return type(failure)(str(failure))


class GrantedCredential:
    """One account's credential with the current access token in it."""

    def __init__(self, grant: TokenGrant, credential: Credential, tokens: AccessTokens) -> None:
        self._grant = grant
        self._credential = credential
        self._tokens = tokens

    def current(self) -> Credential:
        """The credential as the adapter wants it; raises what the exchange raises."""
        return self._grant.apply(self._credential, self._tokens.current())

    def renewed(self, refused: Credential) -> Credential | None:
        """The credential with another token than the refused one."""
        self._tokens.refuse(refused.values.get("access_token", ""))
        return self.current()
