"""The message of one digest: as text, as Slack blocks, as a mail.

However many problems there are, it is one message of bounded length: the gravest are listed,
the others counted. Names come from platforms, so nothing in them may act as markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any
from urllib.parse import quote

from adsync_dagster.alerts.delta import Digest
from adsync_dagster.alerts.problems import Kind, Problem, advice, describe, instant
from adsync_dagster.alerts.settings import MailSettings
from adsync_dagster.clock import SystemClock
from adsync_dagster.warehouse.alerts import AlertRow

#: Problems listed in one section of a message; the others are counted.
LISTED_MAX = 10
#: Slack refuses a section whose text is longer than 3000 characters.
SECTION_CHARACTERS_MAX = 2900
_ORDER = {kind: number for number, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Entry:
    """A problem as a message lists it."""

    sentence: str
    advice: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Problems under one heading, and how many more there are."""

    heading: str
    entries: Sequence[Entry]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """What a person gets."""

    subject: str
    sections: Sequence[Section]
    #: Where to read on; empty when no UI address is set.
    footer: str = ""


def message_of(digest: Digest, ui_url: str | None) -> Message:
    """The message about a digest's problems."""
    sections = [
        _section("New", digest.new, ui_url),
        _section("Still there", digest.lasting, ui_url),
        _section("Over", digest.over, ui_url),
    ]
    return Message(
        subject=f"adsync: {digest.words()}",
        sections=[section for section in sections if section.entries],
        footer="All open problems: `adsync alert list`",
    )


def one_problem(heading: str, problem: Problem) -> Message:
    """A message about a single problem that no row is kept of."""
    over = heading == "Over"
    entry = Entry(describe(problem), "" if over else advice(problem))
    return Message(
        subject="adsync: 1 over" if over else "adsync: 1 problem",
        sections=[Section(heading, [entry])],
    )


def trial_message() -> Message:
    """What `adsync alert test` sends."""
    entry = Entry("This is a test: alerts of adsync reach you here.", "Nothing to do.")
    return Message(subject="adsync: test message", sections=[Section("Test", [entry])])


def _section(heading: str, rows: Sequence[AlertRow], ui_url: str | None) -> Section:
    ordered = sorted(rows, key=lambda row: (_ORDER.get(Kind(row.kind), 99), row.id))
    entries = [_entry(row, ui_url) for row in ordered[:LISTED_MAX]]
    return Section(heading, entries, more=len(rows) - len(entries))


def _entry(row: AlertRow, ui_url: str | None) -> Entry:
    problem = Problem.from_facts(row.facts)
    sentence = describe(problem)
    if row.ended_at is not None:
        first = instant(row.opened_at)
        untold = "" if row.told_at is not None else "; nobody could be told while it lasted"
        return Entry(f"{sentence}. Seen {first}, over {instant(row.ended_at)}{untold}")
    return Entry(sentence, advice(problem), link_of(problem, ui_url))


def link_of(problem: Problem, ui_url: str | None) -> str:
    """The page of Dagster's UI that shows the problem; empty when the UI has no address."""
    if ui_url is None:
        return ""
    if problem.run_id:
        return f"{ui_url}/runs/{quote(problem.run_id, safe='')}"
    if not problem.asset:
        return ""
    path = f"{ui_url}/assets/{quote(problem.asset)}"
    if problem.kind is Kind.FAILED_CHECK:
        return f"{path}?view=checks&checkDetail={quote(problem.reason, safe='')}"
    return f"{path}?view=partitions&partition={quote(problem.subject, safe='')}"


def slack_payload(message: Message) -> dict[str, Any]:
    """The JSON that Slack, Mattermost and others take from an incoming webhook."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": message.subject[:150]}}
    ]
    for section in message.sections:
        blocks.append(_block(f"*{section.heading}*"))
        blocks += [_block(_slack_entry(entry)) for entry in section.entries]
        if section.more:
            blocks.append(_block(f"and {section.more} more"))
    if message.footer:
        blocks.append({"type": "context", "elements": [_markdown(message.footer)]})
    first = [
        _escaped(entry.sentence) for section in message.sections for entry in section.entries[:3]
    ]
    # What a notification shows; places that know no blocks show nothing else.
    return {"text": "\n".join([message.subject, *first]), "blocks": blocks}


def _slack_entry(entry: Entry) -> str:
    text = _escaped(entry.sentence)
    if entry.advice:
        text += f"\n_{_escaped(entry.advice)}_"
    link = f"\n<{entry.link}|Open in Dagster>" if entry.link else ""
    return text[:SECTION_CHARACTERS_MAX] + link


def _block(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _markdown(text)}


def _markdown(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _escaped(text: str) -> str:
    """Text in which nothing calls a channel or hides a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mail_of(message: Message, settings: MailSettings) -> EmailMessage:
    """The message as a mail of plain text."""
    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    # Real time, whatever a test's clock says: mail servers look at it.
    mail["Date"] = format_datetime(SystemClock().now())
    mail["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
    # Absence notes do not answer to this.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join(_lines(message)) + "\n")
    return mail


def _lines(message: Message) -> Iterator[str]:
    for section in message.sections:
        yield section.heading
        for entry in section.entries:
            yield f"- {entry.sentence}"
            if entry.advice:
                yield f"  {entry.advice}"
            if entry.link:
                yield f"  {entry.link}"
        if section.more:
            yield f"- and {section.more} more"
        yield ""
    if message.footer:
        yield message.footer
