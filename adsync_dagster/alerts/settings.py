"""How people are reached: a webhook, e-mail, both, or (the default) nobody.

A webhook's URL is a credential: whoever has it can write into the channel. It is kept out of
`repr`, and no message repeats what a wrong variable holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import SplitResult, urlsplit

from adsync_dagster.errors import UsageError
from adsync_dagster.variables import LOOPBACK, whole_number

#: The variables of this part, with one line for a person; `settings.VARIABLES` includes them.
ALERT_VARIABLES: dict[str, str] = {
    "ADSYNC_ALERT_WEBHOOK_URL": "Slack-compatible webhook that alerts are posted to; a secret",
    "ADSYNC_ALERT_EMAIL_TO": "Addresses that alerts are mailed to, separated by commas",
    "ADSYNC_ALERT_EMAIL_FROM": "The sender of those mails",
    "ADSYNC_ALERT_SMTP_HOST": "Mail server that takes them",
    "ADSYNC_ALERT_SMTP_PORT": "Its port; unset: 587 (starttls), 465 (tls) or 25 (none)",
    "ADSYNC_ALERT_SMTP_SECURITY": "starttls, tls, or none (loopback only)",
    "ADSYNC_ALERT_SMTP_USER": "Login at the mail server",
    "ADSYNC_ALERT_SMTP_PASSWORD": "Password at the mail server; a secret",
    "ADSYNC_ALERT_REMINDER_HOURS": "Hours after which a problem that lasts is told again",
    "ADSYNC_UI_URL": "Where people open Dagster's UI; messages link to it",
}

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_VISIBLE = re.compile(r"[!-~]+", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}", re.ASCII)
_HOURS = whole_number(1, 720)
_PORT = whole_number(1, 65535)
RECIPIENTS_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """A mail server, and who writes to whom through it."""

    host: str
    port: int
    #: starttls, tls or none.
    security: str
    sender: str
    recipients: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """Where alerts go and how often they are repeated."""

    webhook_url: str | None = field(default=None, repr=False)
    mail: MailSettings | None = None
    reminder: timedelta = timedelta(hours=24)
    #: Without a slash at its end.
    ui_url: str | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """The ways in which a person is reached; none: alerts are off."""
        return tuple(
            name
            for name, on in (("webhook", self.webhook_url), ("email", self.mail))
            if on is not None
        )

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> AlertSettings:
        """Read and check the variables; UsageError names the first wrong one."""
        hours = env.get("ADSYNC_ALERT_REMINDER_HOURS")
        return cls(
            webhook_url=_webhook(env.get("ADSYNC_ALERT_WEBHOOK_URL")),
            mail=_mail(env),
            reminder=timedelta(hours=int(_HOURS("ADSYNC_ALERT_REMINDER_HOURS", hours or "24"))),
            ui_url=_ui(env.get("ADSYNC_UI_URL")),
        )


def _webhook(text: str | None) -> str | None:
    if not text:
        return None
    parts = _parts(text)
    if parts is not None and not parts.fragment:
        if parts.scheme == "https":
            return text
        if parts.scheme == "http" and parts.hostname in LOOPBACK:
            return text
    raise UsageError(
        "ADSYNC_ALERT_WEBHOOK_URL must be an https URL without a login in it (plain http is"
        " accepted for loopback only)"
    )


def _ui(text: str | None) -> str | None:
    if not text:
        return None
    parts = _parts(text)
    if parts is None or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        raise UsageError("ADSYNC_UI_URL must look like https://dagster.example.com")
    return text.rstrip("/")


def _parts(text: str) -> SplitResult | None:
    """The URL's parts; None when it is none, or holds a login."""
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    if not usable or not _VISIBLE.fullmatch(text) or "@" in parts.netloc or "\\" in text:
        return None
    return parts


def _mail(env: Mapping[str, str]) -> MailSettings | None:
    recipients = _recipients(env.get("ADSYNC_ALERT_EMAIL_TO", ""))
    if not recipients:
        return None
    host = env.get("ADSYNC_ALERT_SMTP_HOST", "")
    if not _HOST.fullmatch(host):
        raise UsageError(
            "ADSYNC_ALERT_EMAIL_TO is set and ADSYNC_ALERT_SMTP_HOST names no mail server; write"
            " a host like smtp.example.com"
        )
    security = env.get("ADSYNC_ALERT_SMTP_SECURITY") or "starttls"
    if security not in _PORTS:
        raise UsageError("ADSYNC_ALERT_SMTP_SECURITY must be starttls, tls or none")
    if security == "none" and host not in LOOPBACK:
        raise UsageError(
            "ADSYNC_ALERT_SMTP_SECURITY=none is accepted for a mail server on loopback only;"
            " use starttls or tls"
        )
    user = env.get("ADSYNC_ALERT_SMTP_USER") or None
    password = env.get("ADSYNC_ALERT_SMTP_PASSWORD") or None
    if (user is None) != (password is None):
        raise UsageError(
            "set both ADSYNC_ALERT_SMTP_USER and ADSYNC_ALERT_SMTP_PASSWORD, or neither"
        )
    port = env.get("ADSYNC_ALERT_SMTP_PORT") or str(_PORTS[security])
    return MailSettings(
        host=host,
        port=int(_PORT("ADSYNC_ALERT_SMTP_PORT", port)),
        security=security,
        sender=_sender(env.get("ADSYNC_ALERT_EMAIL_FROM") or user or ""),
        recipients=recipients,
        user=user,
        password=password,
    )


def _recipients(text: str) -> tuple[str, ...]:
    addresses = tuple(part.strip() for part in text.split(",") if part.strip())
    wrong = not all(_ADDRESS.fullmatch(address) for address in addresses)
    if wrong or len(addresses) > RECIPIENTS_MAX:
        raise UsageError(
            "ADSYNC_ALERT_EMAIL_TO must hold addresses like ops@example.com, separated by commas,"
            f" {RECIPIENTS_MAX} at most"
        )
    return addresses


def _sender(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise UsageError(
            "ADSYNC_ALERT_EMAIL_FROM must hold the sender's address, like adsync@example.com"
        )
    return text
