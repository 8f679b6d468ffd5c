"""Builds what a scenario's platforms are: accounts, credentials, and the knobs of the wires."""

from __future__ import annotations

from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.simulate.scenario import AccountPlan, Config
from adsync_dagster.simulator.google_ads_auth import RefreshToken
from adsync_dagster.simulator.simulator import Simulator

#: The stored token of each platform's accounts; for Google Ads the refresh token.
TOKENS = {
    "facebook": "sim_campaign_token_canary_51c0",
    "tiktok": "sim_tiktok_token_canary_2b9d",
    "google_ads": "sim_google_token_canary_8e44",
}
_CLIENT_SECRET = "sim_client_secret_canary_77f0"  # noqa: S105 - a made-up one
#: What may never be written anywhere. Access tokens hold the end of their refresh token.
SECRETS = (*TOKENS.values(), TOKENS["google_ads"].removeprefix("sim_"), _CLIENT_SECRET)
MANAGER = "9990000001"


def account_id(platform: str, number: int) -> str:
    """The id of the scenario's account with that number, as its platform writes ids."""
    if platform == "facebook":
        return f"act_{501 + number}"
    return str((7010000000000000501 if platform == "tiktok" else 5015015011) + number)


def credential_of(platform: str, *, managed: bool = False) -> Credential:
    """What is stored for an account of the platform."""
    token = TOKENS[platform]
    if platform != "google_ads":
        return Credential({"access_token": token})
    values = {"client_id": "sim", "client_secret": _CLIENT_SECRET, "refresh_token": token}
    if managed:
        values["login_customer_id"] = MANAGER
    return Credential(values)


def build(simulator: Simulator, config: Config) -> None:
    """Put the scenario's accounts into the simulator's world, and set every knob."""
    for number, plan in enumerate(config.accounts):
        _add(simulator, plan, account_id(plan.platform, number))
    _share_access(simulator, config)
    facebook = simulator.facebook.settings
    facebook.reporting_delay_seconds = config.reporting_delay_seconds
    facebook.offset_cursors = config.offset_cursors
    facebook.activities_retention_days = config.history_kept_days
    facebook.update({"deleted_rows": config.deleted_rows})
    tiktok, knobs = simulator.tiktok.settings, config.tiktok
    tiktok.reporting_delay_seconds = config.reporting_delay_seconds
    tiktok.ads_considered_max = knobs.ads_considered_max
    tiktok.report_cells_max = knobs.report_cells_max
    tiktok.task_shows_deleted = knobs.task_shows_deleted
    tiktok.display_timezone = knobs.display_timezone
    tiktok.empty_total_page = knobs.empty_total_page
    google_ads, google = simulator.google_ads.settings, config.google_ads
    google_ads.report_lag_seconds = config.reporting_delay_seconds
    google_ads.stream_chunk_rows = google.stream_chunk_rows
    google_ads.empty_stream = google.empty_stream
    google_ads.access_token_seconds = google.access_token_seconds
    google_ads.change_lag_seconds = google.change_lag_seconds
    google_ads.conversion_credit_micros = google.conversion_credit_micros


def _add(simulator: Simulator, plan: AccountPlan, new_id: str) -> None:
    world = simulator.world
    names = ("campaigns", "adsets", "ads", "history_days", "stopped")
    size = {name: getattr(plan, name) for name in names}
    described = (new_id, "Shop", plan.currency, plan.timezone)
    if plan.platform == "facebook":
        world.add_facebook_account(*described, **size)
    elif plan.platform == "tiktok":
        world.add_tiktok_account(*described, **size)
    else:
        world.add_google_ads_account(*described, **size, performance_max=plan.performance_max)
        simulator.google_ads.track_conversions(
            new_id, *plan.conversion_windows, known=plan.windows_known
        )


def _share_access(simulator: Simulator, config: Config) -> None:
    """Put the managed Google Ads accounts under a manager, the only way to reach them."""
    numbered = enumerate(config.accounts)
    ids = {
        account_id(plan.platform, number): plan.managed
        for number, plan in numbered
        if plan.platform == "google_ads"
    }
    managed = tuple(one for one, under in ids.items() if under)
    if managed:
        simulator.google_ads.add_manager(MANAGER, managed)
    token: RefreshToken = simulator.google_ads.tokens.known[TOKENS["google_ads"]]
    direct = [one for one, under in ids.items() if not under]
    token.customers = frozenset([*direct, *([MANAGER] if managed else [])])
