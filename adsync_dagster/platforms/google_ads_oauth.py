"""How Google's stored credential becomes an access token: the words of the exchange, no I/O.

The stored credential is a JSON object with `client_id`, `client_secret`, `refresh_token`, and
where they are needed `developer_token` and `login_customer_id`. The transport sends the
exchange (transport/access.py) and keeps the access token for the threads that share it.

Source: RFC 6749 section 6, and Google's OAuth 2.0 page for web server applications.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adsync_dagster.errors import AdsyncError, CredentialBlocked, IncompleteRead, PlatformBusy
from adsync_dagster.platforms.protocol import AccessToken, Credential, Request, Response

#: What a refresh token has to be consented for.
SCOPE = "https://www.googleapis.com/auth/adwords"
_GRANT_KEYS = ("client_id", "client_secret", "refresh_token")
_LIFETIME_SECONDS_MAX = 86_400.0
_RENEW = "store a new credential with `adsync accounts add`"
#: What Google's error words ask a person to do.
_REFUSALS = {
    "invalid_grant": "the refresh token was revoked or has expired (after seven days where the"
    f" OAuth consent screen is in testing); {_RENEW}",
    "invalid_client": f"the client id or secret is wrong; {_RENEW}",
    "unauthorized_client": f"the OAuth client may not use this refresh token; {_RENEW}",
    "invalid_request": f"the credential is not complete; {_RENEW}",
    "unsupported_grant_type": "the token address does not exchange refresh tokens; check"
    " ADSYNC_GOOGLE_OAUTH_URL",
}


@dataclass(frozen=True, slots=True)
class GoogleGrant:
    """Implements platforms.protocol.TokenGrant. `path` is that of the token address."""

    path: str = "/token"

    def key(self, credential: Credential) -> tuple[str, ...] | None:
        """Accounts with the same client and refresh token share their access tokens."""
        values = tuple(credential.values.get(name, "") for name in _GRANT_KEYS)
        return values if values[-1] else None

    def headers(self, credential: Credential) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def parameters(self, credential: Credential) -> Mapping[str, str]:
        return {name: credential.values.get(name, "") for name in _GRANT_KEYS}

    def may_post(self, path: str) -> bool:
        return path == self.path

    def request(self) -> Request:
        return Request(
            method="POST",
            path=self.path,
            form={"grant_type": "refresh_token"},
            purpose="access token of Google Ads",
        )

    def parse(self, response: Response) -> AccessToken:
        payload = _payload(response)
        if response.status != 200:
            raise _failure(payload, response.status)
        scopes = payload.get("scope")
        if isinstance(scopes, str) and scopes and SCOPE not in scopes.split():
            raise CredentialBlocked(
                f"the refresh token lacks the scope {SCOPE}; consent again with it, then {_RENEW}"
            )
        value, lifetime = payload.get("access_token"), payload.get("expires_in")
        if not isinstance(value, str) or not value:
            raise IncompleteRead("Google's answer to the exchange lacks access_token")
        if not isinstance(lifetime, int) or isinstance(lifetime, bool) or lifetime <= 0:
            raise IncompleteRead("Google's answer to the exchange lacks expires_in")
        return AccessToken(
            value=value, lifetime_seconds=min(float(lifetime), _LIFETIME_SECONDS_MAX)
        )

    def apply(self, credential: Credential, token: str) -> Credential:
        return Credential({**credential.values, "access_token": token})


def _payload(response: Response) -> Mapping[str, Any]:
    """The answer as an object; of a failure, an empty one when it is none."""
    try:
        payload = response.json()
    except IncompleteRead:
        if response.status == 200:
            raise
        payload = None
    if isinstance(payload, dict):
        return payload
    if response.status == 200:
        raise IncompleteRead("Google's answer to the exchange is not an object")
    return {}


def _failure(payload: Mapping[str, Any], status: int) -> AdsyncError:
    """What a refused exchange means. Google's description is not repeated."""
    word = payload.get("error")
    if isinstance(word, str) and word in _REFUSALS:
        return CredentialBlocked(f"Google gives no access token: {_REFUSALS[word]}")
    if status == 429 or status >= 500:
        return PlatformBusy(f"Google's token address failed on its own side (HTTP {status})")
    return CredentialBlocked(
        f"Google gives no access token (HTTP {status}); check the credential, or {_RENEW}"
    )
