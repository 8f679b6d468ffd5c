"""The platforms that come with this package, described as any other package describes its own."""

from __future__ import annotations

from urllib.parse import urlsplit

from adsync_dagster.errors import UsageError
from adsync_dagster.platforms import (
    facebook,
    facebook_wire,
    google_ads,
    google_ads_wire,
    tiktok,
    tiktok_wire,
)
from adsync_dagster.platforms.google_ads_oauth import GoogleGrant
from adsync_dagster.platforms.plugin import (
    CredentialField,
    CredentialForm,
    Grant,
    Option,
    PlatformPlugin,
    PlatformSettings,
)
from adsync_dagster.platforms.protocol import PlatformAdapter
from adsync_dagster.records import LEVELS, Platform
from adsync_dagster.variables import web_address, written_like

_METRIC_NAME = written_like(r"[a-z][a-z0-9_]{0,79}", "write a metric's name like complete_payment")


def _facebook(settings: PlatformSettings) -> PlatformAdapter:
    return facebook.FacebookAdapter(
        api_version=settings.options["API_VERSION"],
        conversion_action=settings.options["CONVERSION_ACTION"],
        rules=settings.rules,
    )


FACEBOOK = PlatformPlugin(
    key=Platform.FACEBOOK,
    label="Meta",
    base_url="https://graph.facebook.com",
    rules=facebook.RULES,
    adapter=_facebook,
    entity_ids=dict.fromkeys(LEVELS, facebook_wire.ENTITY_ID),
    credential=CredentialForm(
        fields=(
            CredentialField(name="access_token", help="A system user's token with ads_read."),
            CredentialField(
                name="app_secret",
                help="The app's secret, where the app demands a proof of it with every call.",
                required=False,
            ),
        )
    ),
    options=(
        Option(
            name="API_VERSION",
            help="Graph API version, such as v26.0",
            default="v26.0",
            check=written_like(r"v\d{1,3}\.\d{1,3}", "write it like v26.0"),
        ),
        Option(
            name="CONVERSION_ACTION",
            help="The action_type that counts as a conversion",
            default="omni_purchase",
        ),
    ),
)


def _tiktok(settings: PlatformSettings) -> PlatformAdapter:
    return tiktok.TikTokAdapter(
        conversion_metric=settings.options["CONVERSION_METRIC"],
        value_metric=settings.options["VALUE_METRIC"],
        rules=settings.rules,
    )


TIKTOK = PlatformPlugin(
    key=Platform.TIKTOK,
    label="TikTok",
    base_url="https://business-api.tiktok.com",
    rules=tiktok.RULES,
    adapter=_tiktok,
    entity_ids=dict.fromkeys(LEVELS, tiktok_wire.ENTITY_ID),
    credential=CredentialForm(
        fields=(
            CredentialField(name="access_token", help="A Marketing API access token."),
            CredentialField(
                name="app_id",
                help="The app's id; only to list the token's advertisers.",
                required=False,
                stored=False,
            ),
            CredentialField(
                name="secret",
                help="The app's secret; only to list the token's advertisers.",
                required=False,
                stored=False,
            ),
        )
    ),
    options=(
        Option(
            name="CONVERSION_METRIC",
            help="The report metric that counts conversions",
            default=tiktok.CONVERSION_METRIC,
            check=_METRIC_NAME,
        ),
        Option(
            name="VALUE_METRIC",
            help="The report metric that says what conversions were worth",
            default=tiktok.VALUE_METRIC,
            check=_METRIC_NAME,
        ),
    ),
)


def _google_ads(settings: PlatformSettings) -> PlatformAdapter:
    return google_ads.GoogleAdsAdapter(
        api_version=settings.options["API_VERSION"], rules=settings.rules
    )


def _google_grant(settings: PlatformSettings) -> Grant:
    url = settings.options["OAUTH_URL"]
    return Grant(GoogleGrant(urlsplit(url).path or "/"), url)


def _manager_id(text: str) -> str:
    digits = text.replace("-", "")
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError("it is the id of a manager account; write it like 123-456-7890")
    return digits


GOOGLE_ADS = PlatformPlugin(
    key=Platform.GOOGLE_ADS,
    label="Google Ads",
    base_url="https://googleads.googleapis.com",
    rules=google_ads.RULES,
    adapter=_google_ads,
    entity_ids=google_ads_wire.ENTITY_IDS,
    grant=_google_grant,
    credential=CredentialForm(
        fields=(
            CredentialField(name="client_id", help="Of the OAuth client."),
            CredentialField(name="client_secret", help="Of the OAuth client."),
            CredentialField(name="refresh_token", help="Of the user who consented."),
            CredentialField(
                name="developer_token", help="Of the manager account's API center.", required=False
            ),
            CredentialField(
                name="login_customer_id",
                help="The manager account through which the account is reached.",
                required=False,
                way_in=True,
                clean=_manager_id,
            ),
        ),
        ignored=frozenset(
            {"type", "account", "quota_project_id", "universe_domain", "use_proto_plus"}
        ),
    ),
    options=(
        Option(
            name="API_VERSION",
            help="Google Ads API version, such as v26",
            default="v26",
            check=written_like(r"v\d{1,3}", "write it like v26"),
        ),
        Option(
            name="OAUTH_URL",
            variable="ADSYNC_GOOGLE_OAUTH_URL",
            help="Google OAuth token URL",
            default="https://oauth2.googleapis.com/token",
            check=web_address,
        ),
    ),
)

BUILT_IN = (FACEBOOK, TIKTOK, GOOGLE_ADS)
