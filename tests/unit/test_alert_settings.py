"""The settings of alerts: every variable read, every bad value refused, nothing secret shown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from adsync_dagster.alerts.settings import ALERT_VARIABLES, AlertSettings, MailSettings
from adsync_dagster.errors import UsageError
from adsync_dagster.settings import Settings

CANARY = "canary-5f1d0c"
MAIL = {
    "ADSYNC_ALERT_EMAIL_TO": "ops@example.com, data@example.com",
    "ADSYNC_ALERT_EMAIL_FROM": "adsync@example.com",
    "ADSYNC_ALERT_SMTP_HOST": "smtp.example.com",
}


def test_nobody_is_told_by_default() -> None:
    """An empty environment has no channel."""
    assert Settings.from_environment({}).alerts == AlertSettings()
    assert AlertSettings().channels == ()


def test_every_variable_arrives() -> None:
    """All of them at once, each in its place."""
    alerts = Settings.from_environment(
        {
            **MAIL,
            "ADSYNC_ALERT_WEBHOOK_URL": "https://hooks.example.com/services/T/B/x?y=z",
            "ADSYNC_ALERT_SMTP_PORT": "2525",
            "ADSYNC_ALERT_SMTP_SECURITY": "tls",
            "ADSYNC_ALERT_SMTP_USER": "me",
            "ADSYNC_ALERT_SMTP_PASSWORD": CANARY,
            "ADSYNC_ALERT_REMINDER_HOURS": "6",
            "ADSYNC_UI_URL": "http://dagster.internal:3000/",
        }
    ).alerts
    assert alerts == AlertSettings(
        webhook_url="https://hooks.example.com/services/T/B/x?y=z",
        mail=MailSettings(
            host="smtp.example.com",
            port=2525,
            security="tls",
            sender="adsync@example.com",
            recipients=("ops@example.com", "data@example.com"),
            user="me",
            password=CANARY,
        ),
        reminder=timedelta(hours=6),
        ui_url="http://dagster.internal:3000",
    )
    assert CANARY not in repr(alerts)
    assert "hooks.example.com" not in repr(alerts)
    assert len(ALERT_VARIABLES) == 10


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_goes_with_the_security(security: str, port: int) -> None:
    """The usual port of each, unless another is set."""
    host = "localhost" if security == "none" else "smtp.example.com"
    mail = AlertSettings.from_environment(
        {**MAIL, "ADSYNC_ALERT_SMTP_HOST": host, "ADSYNC_ALERT_SMTP_SECURITY": security}
    ).mail
    assert mail is not None
    assert mail.port == port


@pytest.mark.parametrize(
    "url",
    [
        f"http://hooks.example.com/{CANARY}",
        f"http://127.0.0.1.evil.test/{CANARY}",
        f"https://user:{CANARY}@hooks.example.com/",
        f"https://[{CANARY}",
        f"https://hooks.example.com:0/{CANARY}",
        f"https://hooks.example.com/{CANARY} x",
        f"https://hooks.example.com/{CANARY}#x",
        f"ftp://hooks.example.com/{CANARY}",
        CANARY,
    ],
)
def test_an_unsafe_webhook_is_refused_without_being_repeated(url: str) -> None:
    """The value is a credential: the message shows the right shape only."""
    with pytest.raises(UsageError, match="ADSYNC_ALERT_WEBHOOK_URL must be an https") as caught:
        AlertSettings.from_environment({"ADSYNC_ALERT_WEBHOOK_URL": url})
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ADSYNC_ALERT_SMTP_HOST": ""}, "SMTP_HOST names no mail server"),
        ({"ADSYNC_ALERT_SMTP_HOST": "smtp host"}, "SMTP_HOST names no mail server"),
        ({"ADSYNC_ALERT_EMAIL_FROM": ""}, "EMAIL_FROM must hold"),
        ({"ADSYNC_ALERT_EMAIL_FROM": "a@b\nBcc: c@d"}, "EMAIL_FROM must hold"),
        ({"ADSYNC_ALERT_EMAIL_TO": "ops"}, "EMAIL_TO must hold"),
        ({"ADSYNC_ALERT_EMAIL_TO": "a@b, c@d\r\nBcc: e@f"}, "EMAIL_TO must hold"),
        ({"ADSYNC_ALERT_EMAIL_TO": ",".join(["a@b"] * 21)}, "20 at most"),
        ({"ADSYNC_ALERT_SMTP_SECURITY": "ssl"}, "starttls, tls or none"),
        ({"ADSYNC_ALERT_SMTP_SECURITY": "none"}, "loopback only"),
        ({"ADSYNC_ALERT_SMTP_USER": "me"}, "or neither"),
        ({"ADSYNC_ALERT_SMTP_PASSWORD": CANARY}, "or neither"),
        ({"ADSYNC_ALERT_SMTP_PORT": "0"}, "from 1 to 65535"),
        ({"ADSYNC_ALERT_REMINDER_HOURS": "0"}, "from 1 to 720"),
        ({"ADSYNC_UI_URL": "dagster.example.com"}, "ADSYNC_UI_URL must look like"),
        ({"ADSYNC_UI_URL": "https://u:p@dagster.example.com"}, "ADSYNC_UI_URL must look like"),
        ({"ADSYNC_UI_URL": "javascript://x"}, "ADSYNC_UI_URL must look like"),
    ],
)
def test_a_wrong_value_is_one_line_that_says_what_to_do(
    changes: dict[str, str], words: str
) -> None:
    """Each mistake names its variable, and no secret."""
    with pytest.raises(UsageError, match=words) as caught:
        AlertSettings.from_environment({**MAIL, **changes})
    assert "\n" not in str(caught.value)
    assert CANARY not in str(caught.value)
