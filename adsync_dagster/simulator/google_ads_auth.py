"""Google's OAuth tokens: refresh tokens that give access tokens of an hour, and what they see.

Every token starts with `sim_`, so that none of them can be a real one. A `sim_` token that
nobody registered is valid and reaches every account directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.facebook_auth import TOKEN_PREFIX
from adsync_dagster.simulator.google_ads_errors import OAUTH_ERRORS, FrontRefusal, GoogleAdsError
from adsync_dagster.simulator.google_ads_settings import GoogleAdsSettings
from adsync_dagster.simulator.http import Answer, Call
from adsync_dagster.simulator.instants import SECOND

#: Where tokens are exchanged: Google's address and the older ones that still work.
TOKEN_PATHS = frozenset({"/token", "/oauth2/v3/token", "/oauth2/v4/token"})
SCOPE = "https://www.googleapis.com/auth/adwords"
#: Access tokens that were given out begin like this; they end, and they are known.
_GIVEN = f"{TOKEN_PREFIX}access_"


@dataclass(slots=True, kw_only=True)
class RefreshToken:
    """A refresh token's powers. Change its fields to revoke or narrow it."""

    value: str
    #: Accounts and managers it reaches directly; None for every account of the world.
    customers: frozenset[str] | None = None
    revoked: bool = False
    #: The secret its client has to show; None takes any.
    client_secret: str | None = None
    #: What its user consented to.
    scope: str = SCOPE


@dataclass(slots=True)
class GoogleTokens:
    """Refresh tokens with special powers, and the access tokens that were given out."""

    known: dict[str, RefreshToken] = field(default_factory=dict)
    #: Access token -> (refresh token, the stamp at which it ends).
    given: dict[str, tuple[RefreshToken, int]] = field(default_factory=dict)
    #: How many exchanges there were, refused ones included.
    exchanges: int = 0

    def add(self, token: RefreshToken) -> RefreshToken:
        """Register a refresh token; UsageError unless it starts with `sim_`."""
        if not token.value.startswith(TOKEN_PREFIX):
            raise UsageError("a simulator token starts with sim_")
        self.known[token.value] = token
        return token

    def exchange(self, call: Call, settings: GoogleAdsSettings, now: int) -> Answer:
        """Answer the token endpoint; form and JSON bodies alike."""
        self.exchanges += 1
        params = call.params
        if call.method != "POST" or params.get("grant_type") != "refresh_token":
            return oauth_error("unsupported_grant_type")
        value = params.get("refresh_token", "")
        if not value or not params.get("client_id") or not params.get("client_secret"):
            return oauth_error("invalid_request")
        token = self.known.get(value) or RefreshToken(value=value)
        if token.client_secret not in (None, params["client_secret"]):
            return oauth_error("invalid_client")
        if token.revoked or not value.startswith(TOKEN_PREFIX):
            return oauth_error("invalid_grant")
        access = f"{_GIVEN}{self.exchanges}_{value.removeprefix(TOKEN_PREFIX)}"
        self.given[access] = (token, now + settings.access_token_seconds * SECOND)
        return Answer(
            200,
            {
                "access_token": access,
                "expires_in": settings.access_token_seconds,
                "scope": token.scope,
                "token_type": "Bearer",
            },
        )

    def authenticate(self, headers: Mapping[str, str], now: int) -> RefreshToken:
        """The powers behind a request; GoogleAdsError when its access token is no good."""
        scheme, _, value = headers.get("authorization", "").partition(" ")
        value = value.strip()
        if scheme.lower() != "bearer" or not value:
            raise GoogleAdsError("authenticationError.OAUTH_TOKEN_HEADER_INVALID")
        if not value.startswith(TOKEN_PREFIX):
            raise GoogleAdsError("authenticationError.OAUTH_TOKEN_INVALID")
        if not value.startswith(_GIVEN):
            return self.known.get(value) or RefreshToken(value=value)
        token, ends_at = self.given.get(value, (None, 0))
        if token is None:
            raise GoogleAdsError("authenticationError.OAUTH_TOKEN_INVALID")
        if token.revoked:
            raise GoogleAdsError("authenticationError.OAUTH_TOKEN_REVOKED")
        if now >= ends_at:
            raise GoogleAdsError("authenticationError.OAUTH_TOKEN_EXPIRED")
        if SCOPE not in token.scope.split():
            raise FrontRefusal("ACCESS_TOKEN_SCOPE_INSUFFICIENT")
        return token


def oauth_error(word: str) -> Answer:
    """An error of the token endpoint."""
    body: dict[str, Any] = {
        "error": word,
        "error_description": "Token has been expired or revoked.",
    }
    return Answer(OAUTH_ERRORS.get(word, 400), body)
