"""Draws a scenario from a seed.

World, faults and schedule have generators of their own, so that taking a fault away does not
reshuffle the rest. Swarm: every class of faults is off in half of the seeds, and its rate is
drawn in the others, because faults that always come together hide each other.
"""

from __future__ import annotations

from random import Random
from typing import Any

from adsync_dagster.simulate.scenario import AccountPlan, Config, Event, Scenario

ZONES = (
    "America/Los_Angeles",
    "America/New_York",
    "UTC",
    "Europe/Berlin",
    "Asia/Tokyo",
    "Pacific/Auckland",
    "Etc/GMT+8",
)
CURRENCIES = ("USD", "EUR", "JPY")
MINUTES_A_DAY = 24 * 60
#: Polls of one run; with more days they come less often.
SYNCS_MAX = 14

#: Verb and weight; see actions.py for what each does.
ACTIONS = {
    "pause": 8,
    "resume": 5,
    "archive": 3,
    "delete": 5,
    "resurrect": 1,
    "create_ad": 4,
    "create_adset": 1,
    "create_campaign": 1,
    "create_and_delete": 2,
    "flap": 3,
    "reparent": 1,
    "hold": 2,
    "release": 2,
    "rename": 2,
    "budget": 1,
    "late_conversions": 6,
    "refund": 3,
    "refund_all": 2,
    "add_spend": 3,
    "midnight_pause": 2,
}
#: Class of wire faults: its faults, each with the paths it may strike and its options.
LISTS = r"/(campaigns|adsets|ads)$"
INSIGHTS = r"insights$"
BATCH = r"^$"
ANY = ""
WireFault = tuple[str, str, dict[str, Any]]
WIRE_FAULTS: dict[str, tuple[WireFault, ...]] = {
    "service errors": (
        ("error", ANY, {"error": "service"}),
        ("http_status", ANY, {"status": 500}),
        ("html_body", ANY, {}),
        ("error", BATCH, {"error": "service"}),
    ),
    "throttling": (
        ("http_status", ANY, {"status": 429, "retry_after": 30}),
        ("http_status", ANY, {"status": 429, "retry_after": 100_000}),
        ("http_status", ANY, {"status": 429, "retry_after": "Wed, 21 Oct 1999 07:28:00 GMT"}),
        ("error", ANY, {"error": "account_score"}),
    ),
    "broken bodies": (
        ("empty_body", ANY, {}),
        ("invalid_json", ANY, {}),
        ("cut_json", ANY, {}),
        ("not_a_number", INSIGHTS, {}),
        ("gzip_bomb", ANY, {"bytes": 80_000_000}),
    ),
    "broken sockets": (
        ("reset", ANY, {}),
        ("reset_mid_body", ANY, {}),
        ("long_content_length", ANY, {}),
        ("hang", ANY, {}),
    ),
    "lying lists": (
        ("empty_first_page", LISTS, {}),
        ("empty_page", LISTS, {}),
        ("missing_paging", LISTS, {}),
        ("missing_next", LISTS, {}),
        ("repeated_cursor", LISTS, {}),
        ("cut_rows", LISTS, {}),
        ("shift_rows", LISTS, {}),
        ("repeat_rows", LISTS, {}),
        ("data_is_null", LISTS, {}),
        ("bad_data", LISTS, {}),
        ("foreign_next", LISTS, {}),
    ),
    "lying reports": (
        ("empty_first_page", INSIGHTS, {}),
        ("empty_page", INSIGHTS, {}),
        ("missing_paging", INSIGHTS, {}),
        ("missing_next", INSIGHTS, {}),
        ("repeated_cursor", INSIGHTS, {}),
        ("cut_rows", r"^act_\d+/insights$", {}),
        ("double_row", INSIGHTS, {}),
        ("data_is_null", INSIGHTS, {}),
        ("drop_field", INSIGHTS, {"field": "date_start"}),
        ("set_field", INSIGHTS, {"field": "spend", "value": None}),
    ),
    "strange words": (
        ("set_field", LISTS, {"field": "effective_status", "value": "TELEPORTED", "rows": 1}),
        ("set_field", LISTS, {"field": "name", "value": "\u0000');-- \U0001f4a9", "rows": 1}),
    ),
    "failing batches": (
        ("batch_item_null", INSIGHTS, {}),
        ("batch_cut", BATCH, {}),
        ("batch_shuffled", BATCH, {}),
    ),
    "failing reports": (
        ("report_failed", ANY, {}),
        ("report_stuck", ANY, {}),
        ("report_skipped", ANY, {}),
        ("report_lost", ANY, {}),
    ),
    "stale answers": (
        ("stale", LISTS, {"seconds": 7_200}),
        ("stale", INSIGHTS, {"seconds": 7_200}),
    ),
}
IO_KINDS = ("error", "lost_before", "lost_after", "crash_before", "crash_after", "down")


def draw_scenario(seed: int) -> Scenario:
    """The scenario of a seed; the same for ever, as long as this module stays as it is."""
    config = _config(Random(f"config {seed}"))
    end = config.active_days * MINUTES_A_DAY
    schedule = Random(f"schedule {seed}")
    events = [*_actions(Random(f"world {seed}"), config, end), *_runs(schedule, end)]
    events += _faults(Random(f"faults {seed}"), end)
    events.sort(key=lambda event: (event.minute, event.kind, event.name, event.picks))
    return Scenario(seed=seed, config=config, events=tuple(events))


def _config(random: Random) -> Config:
    plans = [_account(random)]
    if random.random() < 0.15:
        plans.append(_account(random))
    return Config(
        accounts=tuple(plans),
        start_minute=random.randrange(30 * MINUTES_A_DAY),
        active_days=random.choice((2, 4, 7, 10, 14)),
        margin_days=random.choice((0, 1, 2)),
        recent_days=random.choice((1, 2, 3, 5)),
        entity_page_rows=random.choice((2, 3, 200)),
        insights_page_rows=random.choice((3, 10, 500)),
        sync_days_max=random.choice((3, 7, 40)),
        latency_seconds=random.choice((0.0, 0.0, 1.0, 47.0)),
        reporting_delay_seconds=random.choice((0, 0, 0, 900, 4 * 3600)),
        deleted_rows=random.choice(("docs_strict", "filter_deleted_works", "lenient")),
        offset_cursors=random.random() < 0.3,
        keep_running=random.random() < 0.3,
        history_kept_days=random.choice((180, 0)),
    )


def _account(random: Random) -> AccountPlan:
    campaigns = random.randint(1, 3)
    adsets = campaigns + random.randint(0, 2)
    return AccountPlan(
        timezone=random.choice(ZONES),
        currency=random.choice(CURRENCIES),
        campaigns=campaigns,
        adsets=adsets,
        ads=min(9, adsets + random.randint(0, 5)),
        history_days=random.randint(1, 8),
        stopped=random.random() < 0.7,
    )


def _actions(random: Random, config: Config, end: int) -> list[Event]:
    names, weights = list(ACTIONS), list(ACTIONS.values())
    count = random.randint(3, 6 + 3 * config.active_days)
    events = []
    for name in random.choices(names, weights, k=count):
        minute = random.randrange(end)
        if random.random() < 0.2:
            # Right at a poll or shortly before it, where races live.
            minute -= minute % 60
        picks = tuple(random.randrange(1_000_000) for _ in range(3))
        events.append(Event(minute=minute, kind="act", name=name, picks=picks))
    events += _account_trouble(random, end)
    return events


def _account_trouble(random: Random, end: int) -> list[Event]:
    """A token revoked for a while, an account disabled for a while."""
    events = []
    pairs = (("revoke_token", "restore_token"), ("disable_account", "enable_account"))
    for begins, ends in pairs:
        if random.random() < 0.15:
            start = random.randrange(end)
            length = random.randrange(60, 4 * MINUTES_A_DAY)
            events.append(Event(minute=start, kind="act", name=begins))
            events.append(Event(minute=min(start + length, end), kind="act", name=ends))
    return events


def _runs(random: Random, end: int) -> list[Event]:
    """A poll, a sensor and daily settling, with an outage now and then."""
    poll = max(random.choice((120, 360, 720, 1440, 2880)), end // SYNCS_MAX)
    sensor = poll // random.choice((1, 1, 2))
    events = [Event(minute=0, kind="run", name="sync")]
    events += [Event(minute=minute, kind="run", name="sync") for minute in range(poll, end, poll)]
    if sensor < poll:
        events += [
            Event(minute=minute, kind="run", name="final_syncs")
            for minute in range(sensor, end, sensor)
            if minute % poll
        ]
    if random.random() < 0.5:
        events += [
            Event(minute=minute, kind="run", name="settle")
            for minute in range(1440, end, 1440 * random.choice((1, 3)))
        ]
    if random.random() < 0.5:
        events.append(Event(minute=random.randrange(end), kind="run", name="safety_net"))
    if random.random() < 0.2:
        first = random.randrange(1, end)
        last = first + random.randrange(1440, max(1441, end))
        return [event for event in events if not first <= event.minute < last]
    return events


def _faults(random: Random, end: int) -> list[Event]:
    events = []
    for wires in WIRE_FAULTS.values():
        on, rate = random.random() < 0.5, random.choice((1, 2, 4, 8))
        if not on:
            continue
        for _ in range(rate):
            name, path, options = random.choice(wires)
            events.append(
                Event(
                    minute=random.randrange(end),
                    kind="fault",
                    name=name,
                    options={
                        **options,
                        "path": path,
                        "skip": random.choice((0, 0, 1, 2, 5)),
                        "count": random.choice((1, 1, 2, 4, 12)),
                    },
                )
            )
    if random.random() < 0.5:
        events += [
            Event(
                minute=random.randrange(end),
                kind="io",
                name=random.choice(IO_KINDS),
                picks=(int(random.paretovariate(0.5)) % 300 + 1,),
            )
            for _ in range(random.choice((1, 2, 4, 8)))
        ]
    return events
