"""Webhook and mail over real sockets: what is taken, what is refused, and what is never said."""

from __future__ import annotations

import socket
import ssl
import threading
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certificates import certificate
from receivers import (
    HOOK_PATH,
    PASSWORD,
    USER,
    hook_receiver,
    mail_server,
)

from adsync_dagster.alerts.delivery import Mail, Webhook, channels_of
from adsync_dagster.alerts.rendering import trial_message
from adsync_dagster.alerts.settings import AlertSettings, MailSettings
from adsync_dagster.errors import AdsyncError, Blocked, Retryable
from adsync_dagster.transport import mail as mail_module
from adsync_dagster.transport import webhook as webhook_module
from adsync_dagster.transport.limits import TransportLimits
from adsync_dagster.transport.mail import try_login

PLAIN = MailSettings(
    host="127.0.0.1",
    port=0,
    security="none",
    sender="adsync@example.com",
    recipients=("a@example.com", "b@example.com"),
)


def tomorrow() -> datetime:
    """When the certificates of these tests end."""
    return datetime.now(UTC) + timedelta(days=1)


def whole(error: BaseException) -> str:
    """The error with everything that a log of it would show."""
    return "".join(traceback.format_exception(error))


def refused(settings: MailSettings) -> AdsyncError:
    """The error of a mail that is not taken; it never holds the password."""
    with pytest.raises(AdsyncError) as caught:
        Mail(settings).send(trial_message())
    assert PASSWORD not in whole(caught.value)
    return caught.value


def test_a_webhook_gets_json_that_slack_takes() -> None:
    """Text for notifications, blocks for reading."""
    with hook_receiver() as hook:
        assert Webhook(hook.url).send(trial_message()) == ""
        [payload] = hook.take()
    assert payload["text"].startswith("adsync: test message\n")
    assert {block["type"] for block in payload["blocks"]} == {"header", "section"}


@pytest.mark.parametrize(
    ("status", "family"), [(404, Blocked), (410, Blocked), (400, Blocked), (429, Retryable)]
)
def test_a_refusal_names_the_status_and_nothing_else(status: int, family: type) -> None:
    """The URL of a webhook is a credential: no error holds it."""
    with hook_receiver() as hook:
        hook.status = status
        with pytest.raises(AdsyncError, match=f"HTTP {status}") as caught:
            Webhook(hook.url).send(trial_message())
    assert type(caught.value) is family
    assert "canary" not in whole(caught.value)


def test_a_redirect_is_not_followed() -> None:
    """The message goes where the operator said, or nowhere."""
    with hook_receiver() as elsewhere, hook_receiver() as hook:
        hook.status, hook.location = 307, elsewhere.url
        with pytest.raises(Blocked, match="redirect") as caught:
            Webhook(hook.url).send(trial_message())
        assert elsewhere.requests == []
        assert hook.requests == [HOOK_PATH]
    assert "canary" not in whole(caught.value)


def test_a_webhook_that_is_away_is_tried_again_later() -> None:
    """Connection refused: retryable, and without the URL."""
    with hook_receiver() as hook:
        url = hook.url
    with pytest.raises(Retryable) as caught:
        Webhook(url).send(trial_message())
    assert "canary" not in whole(caught.value)


def test_a_webhook_that_never_answers_holds_nobody_up() -> None:
    """The exchange ends at its deadline."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}{HOOK_PATH}"
        quick = TransportLimits(connect_seconds=1, read_seconds=0.3, request_seconds=0.5)
        with pytest.raises(Retryable):
            webhook_module.post_json(url, {}, quick)


def test_a_webhook_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    """A certificate that cannot be verified: nothing is sent."""
    context, _ = certificate(tmp_path, ["localhost"], tomorrow())
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_shake_hands, args=(server, context), daemon=True)
        thread.start()
        url = f"https://localhost:{server.getsockname()[1]}{HOOK_PATH}"
        with pytest.raises(Blocked, match="certificate") as caught:
            Webhook(url).send(trial_message())
        thread.join(5)
    assert "canary" not in whole(caught.value)


def _shake_hands(server: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = server.accept()
    with connection:
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            return


def test_a_mail_is_plain_text_from_a_machine() -> None:
    """Subject, sender, recipients, and a mark that keeps absence notes from answering."""
    with mail_server() as server:
        assert Mail(replace(PLAIN, port=server.port)).send(trial_message()) == ""
        [mail] = server.take()
    assert mail["subject"] == "adsync: test message"
    assert (mail["from"], mail["to"]) == ("adsync@example.com", "a@example.com, b@example.com")
    assert mail["auto-submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"


def test_starttls_and_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS with a verified certificate and a password; a wrong password needs a person."""
    context, trusted = certificate(tmp_path, ["localhost"], tomorrow())
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with mail_server(context) as server:
        settings = replace(
            PLAIN,
            host="localhost",
            port=server.port,
            security="starttls",
            user=USER,
            password=PASSWORD,
        )
        try_login(settings)
        assert server.mails == []
        Mail(settings).send(trial_message())
        assert len(server.take()) == 1
        assert server.logins == [(USER, True), (USER, True)]

        error = refused(replace(settings, password=PASSWORD + "x"))
        assert type(error) is Blocked
        assert "refused the login (535)" in str(error)
        assert server.take() == []


def test_a_mail_server_nobody_vouches_for_gets_neither_login_nor_mail(tmp_path: Path) -> None:
    """A certificate that cannot be verified ends it before the password."""
    context, _ = certificate(tmp_path, ["localhost"], tomorrow())
    with mail_server(context) as server:
        error = refused(
            replace(
                PLAIN,
                host="localhost",
                port=server.port,
                security="starttls",
                user=USER,
                password=PASSWORD,
            )
        )
        assert type(error) is Blocked
        assert "certificate" in str(error)
        assert server.logins == []


def test_a_server_without_starttls_is_refused() -> None:
    """A password does not go out in clear because somebody strips the offer of TLS."""
    with mail_server() as server:
        error = refused(
            replace(PLAIN, port=server.port, security="starttls", user=USER, password=PASSWORD)
        )
        assert "does not offer" in str(error)
        assert server.mails == []


def test_tls_to_a_plain_port_is_an_error_that_names_the_setting() -> None:
    """The wrong security for the port is the most common mistake with mail servers."""
    with mail_server() as server:
        error = refused(replace(PLAIN, port=server.port, security="tls"))
    assert "ADSYNC_ALERT_SMTP_SECURITY=tls" in str(error)


def test_a_busy_mail_server_is_tried_again_and_its_words_are_not_repeated() -> None:
    """451 is for now; what the server says may hold what it was sent."""
    with mail_server() as server:
        server.refuse = "451 busy with words"
        error = refused(replace(PLAIN, port=server.port))
    assert type(error) is Retryable
    assert "451" in str(error)
    assert "words" not in whole(error)


def test_one_refused_recipient_does_not_keep_the_mail_from_the_other() -> None:
    """It counts as taken, so that the other one is not written to at every look."""
    with mail_server() as server:
        server.unknown = frozenset({"b@example.com"})
        remark = Mail(replace(PLAIN, port=server.port)).send(trial_message())
        assert len(server.take()) == 1
        server.unknown = frozenset({"a@example.com", "b@example.com"})
        assert "every recipient" in str(refused(replace(PLAIN, port=server.port)))
    assert remark == ("the mail server refused 1 of 2 recipients; check ADSYNC_ALERT_EMAIL_TO")


def test_a_mail_server_that_drips_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversation has a deadline of its own: a byte now and then does not extend it."""
    monkeypatch.setattr(mail_module, "CONVERSATION_SECONDS", 0.5)
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"220 hello\r\n")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"2")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        error = refused(replace(PLAIN, port=listener.getsockname()[1]))
        stop.set()
        thread.join(5)
    assert type(error) is Retryable


def test_channels_are_those_that_are_set() -> None:
    """Nothing set: nobody is told."""
    assert channels_of(AlertSettings()) == {}
    both = AlertSettings(webhook_url="https://h.test/x", mail=PLAIN)
    assert list(channels_of(both)) == ["webhook", "email"] == list(both.channels)
