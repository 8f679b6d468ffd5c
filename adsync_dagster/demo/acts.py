"""What happens in the demo, act by act, each platform in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from adsync_dagster.calendar import account_day
from adsync_dagster.demo.cast import CAST, GOOGLE, META, TIKTOK, TOKEN, Actor
from adsync_dagster.demo.stage import Stage
from adsync_dagster.demo.story import Act, Story
from adsync_dagster.records import LEVELS, Level
from adsync_dagster.simulator.google_ads_auth import RefreshToken
from adsync_dagster.warehouse import account_state, changes
from adsync_dagster.warehouse.overview import status_of_accounts

NEW_TOKEN = "sim_demo_token_renewed"  # noqa: S105 - the simulator's, as in cast.py


def first_sync(story: Story) -> None:
    """Three accounts with 90 days of history arrive in one run."""
    for actor in CAST:
        counts = zip(LEVELS, actor.size, strict=True)
        story.say(
            f"{actor.title}: {', '.join(actor.counted(count, level) for level, count in counts)},"
            f" {actor.currency}, days of {actor.timezone}"
        )
    story.run("account_sync_job")
    exchanges = story.stage.simulator.simulator.google_ads.tokens.exchanges
    story.say(f"Google's refresh token was exchanged {exchanges} times for access tokens")
    for actor in CAST:
        story.compare_all(actor, Level.AD)


def things_stop(story: Story) -> None:
    """Ads, an ad group and campaigns stop; the sensor fetches their last days."""
    story.advance(hours=3)
    # Chosen while all of them deliver, compared when none does.
    stopped = {META: _stop_meta(story), TIKTOK: _stop_tiktok(story), GOOGLE: _stop_google(story)}
    story.advance(hours=2)
    for actor, ids in stopped.items():
        day = account_day(story.stage.clock.now(), story.accounts[actor].timezone)
        for ad in ids[Level.AD][:4]:
            story.stage.world.late_conversions(ad, day, 3, Decimal("74.85"))
    story.say("everywhere: 12 conversions arrive after the stop")
    story.run("entity_sync_job")
    story.say(f"the triggers logged the stops: {story.pending()} final syncs pending")
    seconds = story.wait_for("the sensor's final syncs", lambda: story.pending() == 0)
    story.say(f"the sensor started the final syncs; none pending after {seconds:.1f} s")
    for actor, ids in stopped.items():
        for level, chosen in ids.items():
            story.compare(actor, chosen, level)


Stopped = dict[Level, list[str]]


def _stop_meta(story: Story) -> Stopped:
    """Six ads paused, three deleted, two archived, and a campaign paused over its ads."""
    world, live = story.stage.world, story.live(META)
    campaign = live[0].campaign_id
    children = [ad.id for ad in live if ad.campaign_id == campaign]
    loose = [ad.id for ad in live if ad.campaign_id != campaign][:11]
    for ad in loose[:6]:
        world.pause("ad", ad)
    for ad in loose[6:9]:
        world.delete("ad", ad)
    for ad in loose[9:]:
        world.archive("ad", ad)
    world.pause("campaign", campaign)
    story.say(
        "Meta: 6 ads paused, 3 deleted, 2 archived, and a campaign paused with"
        f" {META.counted(len(children), Level.AD)}"
    )
    return {Level.AD: [*loose, *children], Level.CAMPAIGN: [campaign]}


def _stop_tiktok(story: Story) -> Stopped:
    """An ad group deleted with its ads, and two ads disapproved."""
    world, live = story.stage.world, story.live(TIKTOK)
    group = str(live[0].adset_id)
    children = [ad.id for ad in live if ad.adset_id == group]
    loose = [ad.id for ad in live if ad.adset_id != group][:2]
    world.delete("adset", group)
    for ad in loose:
        world.set_hold("ad", ad, "DISAPPROVED")
    story.say(
        f"TikTok: an ad group deleted with {TIKTOK.counted(len(children), Level.AD)},"
        " 2 ads disapproved"
    )
    return {Level.AD: [*children, *loose], Level.ADSET: [group]}


def _stop_google(story: Story) -> Stopped:
    """A campaign removed with its ads, and the Performance Max campaign paused."""
    world, live = story.stage.world, story.live(GOOGLE)
    campaign = live[0].campaign_id
    children = [ad.id for ad in live if ad.campaign_id == campaign]
    campaigns = world.account(GOOGLE.account_id).entities["campaign"]
    performance_max = next(one.id for one in campaigns.values() if "channel_type" in one.traits)
    world.delete("campaign", campaign)
    world.pause("campaign", performance_max)
    story.say(
        f"Google Ads: a campaign removed with {GOOGLE.counted(len(children), Level.AD)}, and the"
        " Performance Max campaign, which has no ad rows, paused"
    )
    return {Level.AD: children, Level.CAMPAIGN: [campaign, performance_max]}


def born_and_stopped(story: Story) -> None:
    """Ads are created, spend and are stopped, all between two syncs."""
    world = story.stage.world
    ads: dict[Actor, list[str]] = {}
    for actor in CAST:
        adset = str(story.live(actor)[0].adset_id)
        ads[actor] = [world.create_ad(adset, f"Flash sale {number}") for number in (1, 2)]
    story.advance(hours=7)
    for first, second in ads.values():
        world.pause("ad", first)
        world.delete("ad", second)
    story.advance(hours=1)
    story.say(
        "on each platform 2 ads created, run for 7 hours, then one paused and one deleted;"
        " no sync in between"
    )
    story.run("account_sync_job")
    for actor, ids in ads.items():
        story.compare(actor, ids)


def an_outage(story: Story) -> None:
    """Every platform fails in its own way while ads stop; the weekly net finishes what was left."""
    story.advance(hours=12)
    ads = {actor: [ad.id for ad in story.live(actor)[:5]] for actor in CAST}
    for ids in ads.values():
        for ad in ids:
            story.stage.world.pause("ad", ad)
    with _trouble(story.stage):
        story.say(
            "5 ads paused on each platform, while Meta throttles reports, TikTok refuses them"
            " with HTTP 200, and Google's refresh token is revoked"
        )
        story.run("entity_sync_job")
        for actor in (META, TIKTOK):
            _wait_for_refusal(story, actor)
            story.say(f"{actor.title}: {story.pending(actor)} changes stay pending, with the error")
        story.say(f"Google Ads: blocked ({_blocked_reason(story)}) until a person acts")
    story.advance(days=1)
    story.stage.connect_account(GOOGLE, GOOGLE.credential(NEW_TOKEN))
    story.say("Meta and TikTok are back, a new refresh token was stored for Google Ads")
    story.run("safety_net_job", accounts=False)
    story.say(f"the weekly safety net ran: {story.pending()} pending")
    for actor, ids in ads.items():
        story.compare(actor, ids)


def weeks_pass(story: Story) -> None:
    """Late conversions and corrections arrive for weeks; days are sealed as they become final."""
    for week, days in ((1, 7), (3, 14), (5, 14)):
        story.advance(days=days)
        story.run("settle_job" if week < 5 else "account_sync_job")
        with story.stage.environment.database.connection() as connection:
            sealed = {
                actor.title: account_state.count_sealed_days(connection, account)
                for actor, account in story.accounts.items()
            }
        told = ", ".join(f"{title} {days}" for title, days in sealed.items())
        story.say(f"week {week}: days sealed: {told}")
    for actor in CAST:
        for level in reversed(LEVELS):
            story.compare_all(actor, level)
    story.run("health_checks_job", accounts=False)


ACTS: tuple[Act, ...] = (
    ("first sync", first_sync),
    ("ads, an ad group and campaigns stop", things_stop),
    ("born and stopped between two syncs", born_and_stopped),
    ("platforms fail, the safety net catches", an_outage),
    ("five weeks of late conversions", weeks_pass),
)


@contextmanager
def _trouble(stage: Stage) -> Iterator[None]:
    """Reports are refused by Meta and TikTok, and Google's refresh token is worth nothing.

    Meta answers every batched report with the account's rate limit, TikTok with an error of its
    own inside HTTP 200.
    """
    faults = stage.simulator.simulator.faults
    rules = [
        faults.arm("error", path="^$", method="POST", count=None, error="buc_insights"),
        faults.arm("tiktok_error", path="report/", count=None, code=51000),
    ]
    stage.simulator.simulator.google_ads.tokens.add(RefreshToken(value=TOKEN, revoked=True))
    try:
        yield
    finally:
        for rule in rules:
            faults.disarm(rule)


def _wait_for_refusal(story: Story, actor: Actor) -> None:
    story.wait_for("a refused final sync", lambda: _refused(story, actor) > 0)


def _refused(story: Story, actor: Actor) -> int:
    """Changes of the account whose final sync was tried and refused."""
    with story.stage.environment.database.connection() as connection:
        waiting = changes.get_entities_needing_final_sync(connection, story.accounts[actor].id)
    return sum(1 for change in waiting if change.attempts > 0 or change.blocked_reason)


def _blocked_reason(story: Story) -> str:
    """Why the Google account waits, as `adsync status` says it."""
    key = story.accounts[GOOGLE].key
    with story.stage.environment.database.connection() as connection:
        rows = status_of_accounts(connection)
    return next(row.blocked_reason or "not blocked" for row in rows if row.account == key)
