"""Tokens of the simulated Graph API: who they are, what they see, when they stop working.

Every token starts with `sim_`, so that none of them can be a real one and no real one works.
A `sim_` token that nobody registered is valid and sees every account of the world.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.facebook_errors import (
    GraphError,
    missing_permission,
    token_error,
    token_expired,
    token_revoked,
)
from adsync_dagster.simulator.facebook_settings import FacebookSettings

TOKEN_PREFIX = "sim_"  # noqa: S105 - the mark of tokens that are no secrets


@dataclass(slots=True, kw_only=True)
class Token:
    """A token's powers. Change its fields to expire, revoke or narrow it."""

    value: str
    #: Account ids (`act_...`) it may see; None for all.
    accounts: frozenset[str] | None = None
    #: Stamp after which it is expired; None for never.
    expires_at: int | None = None
    revoked: bool = False
    permissions: frozenset[str] = frozenset({"ads_read", "ads_management"})
    #: Locale of the activity log's labels, such as en_US, es_ES, pt_BR, zh_CN.
    language: str = "en_US"

    def sees(self, account_id: str) -> bool:
        """Whether the account is visible to this token."""
        return self.accounts is None or account_id in self.accounts


class TokenBook:
    """The tokens that somebody gave special powers; all other `sim_` tokens are plain."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    def add(self, token: Token) -> Token:
        """Register a token; UsageError unless it starts with `sim_`."""
        if not token.value.startswith(TOKEN_PREFIX):
            raise UsageError("a simulator token starts with sim_")
        self._tokens[token.value] = token
        return token

    def get(self, value: str) -> Token:
        """The registered token, or a plain one."""
        return self._tokens.get(value) or Token(value=value)

    def authenticate(
        self,
        value: str | None,
        params: Mapping[str, str],
        settings: FacebookSettings,
        now: int,
    ) -> Token:
        """The token behind a request; GraphError when it is missing or no good."""
        if not value:
            raise GraphError("An access token is required to request this resource.", 104)
        if not value.startswith(TOKEN_PREFIX):
            raise token_error("Invalid OAuth access token - Cannot parse access token")
        token = self.get(value)
        if token.revoked:
            raise token_revoked()
        if token.expires_at is not None and now >= token.expires_at:
            raise token_expired()
        if not token.permissions & {"ads_read", "ads_management"}:
            raise missing_permission()
        check_proof(value, params.get("appsecret_proof"), settings)
        return token


def check_proof(token: str, proof: str | None, settings: FacebookSettings) -> None:
    """Verify appsecret_proof where the app has a secret and one was sent or is required."""
    if settings.app_secret is None or (proof is None and not settings.require_appsecret_proof):
        return
    if proof is None:
        raise GraphError("API calls from the server require an appsecret_proof argument", 100)
    expected = hmac.new(settings.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, proof):
        raise GraphError("Invalid appsecret_proof provided in the API argument", 104)


def token_of(params: Mapping[str, str], headers: Mapping[str, str]) -> str | None:
    """The token in query, form or Authorization header (Bearer or OAuth)."""
    if params.get("access_token"):
        return params["access_token"]
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() in {"bearer", "oauth"} else None
