"""Hands a message to a channel; what goes wrong comes back as one line without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from adsync_dagster.alerts.rendering import Message, mail_of, slack_payload
from adsync_dagster.alerts.settings import AlertSettings, MailSettings
from adsync_dagster.transport.mail import send_mail
from adsync_dagster.transport.webhook import post_json


class Channel(Protocol):
    """A way to reach a person."""

    def send(self, message: Message) -> str:
        """Returns when the message was taken, with a remark or nothing.

        AdsyncError, without secrets, when it was not taken.
        """


class Webhook:
    """A Slack-compatible webhook."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Message) -> str:
        """Post the message as JSON."""
        post_json(self._url, slack_payload(message))
        return ""


class Mail:
    """A mail server."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    def send(self, message: Message) -> str:
        """Hand the mail to the server; a remark names how many recipients it refused."""
        return send_mail(self._settings, mail_of(message, self._settings))


def channels_of(settings: AlertSettings) -> Mapping[str, Channel]:
    """The configured channels by name; empty when alerts are off."""
    channels: dict[str, Channel] = {}
    if settings.webhook_url is not None:
        channels["webhook"] = Webhook(settings.webhook_url)
    if settings.mail is not None:
        channels["email"] = Mail(settings.mail)
    return channels
