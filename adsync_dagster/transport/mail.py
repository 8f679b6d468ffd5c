"""One mail to a mail server, bounded in time, over TLS unless the server is on this machine.

The standard library's SMTP client does the talking. Its errors hold the server's words, which
may repeat what was sent, so only codes of them are shown.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable
from email.message import EmailMessage

from adsync_dagster.alerts.settings import MailSettings
from adsync_dagster.errors import AdsyncError, Blocked, Retryable

#: Silence of the server, and the whole conversation.
ANSWER_SECONDS = 10.0
CONVERSATION_SECONDS = 20.0


def send_mail(settings: MailSettings, mail: EmailMessage) -> str:
    """Hand the mail to the server; returns when it was taken for at least one recipient.

    The answer is a remark on recipients that were refused, empty when there were none. Raises
    Retryable or Blocked otherwise; no message holds the password or the server's own words.
    """
    refused: dict[str, object] = {}

    def talk(server: smtplib.SMTP) -> None:
        refused.update(
            server.send_message(mail, from_addr=settings.sender, to_addrs=list(settings.recipients))
        )

    _converse(settings, talk)
    if not refused:
        return ""
    return (
        f"the mail server refused {len(refused)} of {len(settings.recipients)} recipients;"
        " check ADSYNC_ALERT_EMAIL_TO"
    )


def try_login(settings: MailSettings) -> None:
    """Speak to the server up to where a mail would begin; raises as `send_mail`."""

    def talk(server: smtplib.SMTP) -> None:
        server.noop()

    _converse(settings, talk)


def _converse(settings: MailSettings, talk: Callable[[smtplib.SMTP], None]) -> None:
    """Talk to a server that greeted us, over TLS and logged in as the settings want it."""
    failure: AdsyncError | None = None
    try:
        _talk_in_time(settings, talk)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        failure = _translate(error, settings)
    # Raised outside the handler: the client's errors hold the server's words.
    if failure is not None:
        raise failure


def _talk_in_time(settings: MailSettings, talk: Callable[[smtplib.SMTP], None]) -> None:
    server = _connect(settings)
    # A socket's own timeout begins anew with every byte.
    timer = threading.Timer(CONVERSATION_SECONDS, _shut, args=(server,))
    timer.daemon = True
    timer.start()
    try:
        if settings.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if settings.user is not None and settings.password is not None:
            server.login(settings.user, settings.password)
        talk(server)
        # It is taken; how the goodbye goes does not matter.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            server.quit()
    finally:
        timer.cancel()
        server.close()


def _connect(settings: MailSettings) -> smtplib.SMTP:
    if settings.security == "tls":
        return smtplib.SMTP_SSL(
            settings.host,
            settings.port,
            timeout=ANSWER_SECONDS,
            context=ssl.create_default_context(),
        )
    return smtplib.SMTP(settings.host, settings.port, timeout=ANSWER_SECONDS)


def _shut(server: smtplib.SMTP) -> None:
    if server.sock is not None:
        with contextlib.suppress(OSError):
            # Not SSLSocket's own, which would strip the TLS layer under the reading thread.
            socket.socket.shutdown(server.sock, socket.SHUT_RDWR)


def _translate(error: Exception, settings: MailSettings) -> AdsyncError:
    """Our error for one of the client's: the first line of the table that fits."""
    where = f"the mail server {settings.host}:{settings.port}"
    for kind, family, words in _WORDS:
        if isinstance(error, kind):
            code = f" ({error.smtp_code})" if isinstance(error, _WITH_CODE) else ""
            return family(words.format(where=where, code=code, security=settings.security))
    return Retryable(f"{where} could not be reached, or did not answer in time")


_WITH_CODE = smtplib.SMTPResponseException
_WORDS: tuple[tuple[type[Exception], type[AdsyncError], str], ...] = (
    (
        ssl.SSLCertVerificationError,
        Blocked,
        "the TLS certificate of {where} cannot be verified; nothing was sent",
    ),
    (
        smtplib.SMTPAuthenticationError,
        Blocked,
        (
            "{where} refused the login{code}; check ADSYNC_ALERT_SMTP_USER and"
            " ADSYNC_ALERT_SMTP_PASSWORD"
        ),
    ),
    (
        smtplib.SMTPNotSupportedError,
        Blocked,
        (
            "{where} does not offer what ADSYNC_ALERT_SMTP_SECURITY={security} or the login"
            " needs; nothing was sent"
        ),
    ),
    (
        smtplib.SMTPRecipientsRefused,
        Blocked,
        "{where} refused every recipient; check ADSYNC_ALERT_EMAIL_TO",
    ),
    (
        smtplib.SMTPSenderRefused,
        Blocked,
        "{where} refused the sender{code}; check ADSYNC_ALERT_EMAIL_FROM",
    ),
    (_WITH_CODE, Retryable, "{where} refused the mail for now{code}"),
    (
        ssl.SSLError,
        Blocked,
        "{where} does not speak TLS as ADSYNC_ALERT_SMTP_SECURITY={security} says",
    ),
)
