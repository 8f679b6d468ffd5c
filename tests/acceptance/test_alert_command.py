"""`adsync alert` as a person runs it: exit codes, one line each, and no secret anywhere."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from command import Shell
from receivers import HookReceiver, MailServer, hook_receiver, mail_server

SECRET = "canary"


@pytest.fixture
def shell(tmp_path: Path, database_url: str) -> Shell:
    """A shell with a migrated warehouse and no channel."""
    return Shell(tmp_path, {"ADSYNC_DATABASE_URL": database_url})


def with_channels(shell: Shell, hook: HookReceiver, mail: MailServer) -> Shell:
    """The same shell with both channels."""
    return shell.with_(
        ADSYNC_ALERT_WEBHOOK_URL=hook.url,
        ADSYNC_ALERT_EMAIL_TO="ops@example.com",
        ADSYNC_ALERT_EMAIL_FROM="adsync@example.com",
        ADSYNC_ALERT_SMTP_HOST="127.0.0.1",
        ADSYNC_ALERT_SMTP_PORT=str(mail.port),
        ADSYNC_ALERT_SMTP_SECURITY="none",
    )


def test_the_test_message_reaches_both_channels_or_says_why_not(shell: Shell) -> None:
    """Taken: exit 0. Refused: 3, a person must act. Away: 4. Nothing set: 2, with what to set."""
    assert "ADSYNC_ALERT_WEBHOOK_URL" in shell.run("alert", "test").complaint(2)
    with hook_receiver() as hook, mail_server() as mail:
        both = with_channels(shell, hook, mail)
        done = both.run("alert", "test")
        assert (done.code, done.out.splitlines()) == (0, ["webhook: taken", "email: taken"])
        assert len(hook.take()) == len(mail.take()) == 1

        hook.status = 404
        refused = both.run("alert", "test")
        assert (refused.code, refused.out.strip()) == (3, "email: taken")
        assert "webhook: the webhook answered HTTP 404" in refused.err
        assert SECRET not in refused.err
    assert both.run("alert", "test").code == 4


def test_doctor_speaks_to_the_mail_server_and_shows_what_was_not_taken(
    shell: Shell, database_url: str
) -> None:
    """A wrong port is found before the first alert; a delivery that failed is not forgotten."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO ad_alerts (channel, problem, kind, facts, attempts, error) VALUES"
            " ('webhook', 'blocked_account:facebook:act_1:credential', 'blocked_account',"
            """  '{"kind": "blocked_account", "subject": "facebook:act_1", "name": "Shop","""
            """    "reason": "credential", "since": "2026-03-10 15:00 UTC"}', 3,"""
            " 'the webhook answered HTTP 503')"
        )
    listed = shell.run("alert", "list")
    assert "Shop (facebook:act_1) is blocked: credential since 2026-03-10 15:00 UTC" in listed.out
    [row] = shell.run("alert", "list", "--json").json
    assert (row["channel"], row["told_at"], row["error"]) == (
        "webhook",
        None,
        "the webhook answered HTTP 503",
    )

    assert "nobody is told of failures" in shell.run("doctor", "--offline").out
    with hook_receiver() as hook, mail_server() as mail:
        both = with_channels(shell, hook, mail)
        found = both.run("doctor").out
        assert f"mail: 127.0.0.1:{mail.port} (none) lets us in" in found
        assert "the last message by webhook was not taken: the webhook answered HTTP 503" in found
        assert mail.mails == []
        assert SECRET not in found
    away = both.run("doctor")
    assert away.code != 0
    assert "FAIL  alerts: the mail server" in away.out
