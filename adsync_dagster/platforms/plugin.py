"""What a platform says of itself, so that everything else can serve it without naming it.

Settings, command line, Dagster resources, checks and doctor know platforms only by these
descriptions. Ours stand in built_in.py; a package of yours gives one under the entry point
group `adsync_dagster.platforms` (docs/adding-a-platform.md walks through it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from adsync_dagster.platforms.protocol import Credential, PlatformAdapter, TokenGrant
from adsync_dagster.records import LEVELS, Level, Platform
from adsync_dagster.settlement import SettlementRules
from adsync_dagster.variables import Check, any_text, web_address, whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One environment variable of a platform."""

    #: In upper case; the variable is ADSYNC_<KEY>_<NAME> unless `variable` says otherwise.
    name: str
    #: One line for a person.
    help: str
    default: str
    check: Check = any_text
    variable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialField:
    """One value of a platform's credential."""

    name: str
    #: One line for a person: what it is, and where it is found.
    help: str
    required: bool = True
    #: False: for finding accounts only, and never stored.
    stored: bool = True
    #: True: the way to an account, which a listing of the credential's accounts finds by itself.
    way_in: bool = False
    #: The value as it is stored; UsageError when it cannot be one.
    clean: Callable[[str], str] = str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialForm:
    """What a credential consists of. With one required field, the bare value is enough."""

    fields: tuple[CredentialField, ...]
    #: Entries of the platform's own credential files that mean nothing here.
    ignored: frozenset[str] = frozenset()

    @property
    def needed(self) -> tuple[CredentialField, ...]:
        return tuple(one for one in self.fields if one.required)

    def direct(self, credential: Credential) -> Credential:
        """The credential without a way in, as accounts are looked for with it."""
        ways = {one.name for one in self.fields if one.way_in}
        return Credential(
            {name: value for name, value in credential.values.items() if name not in ways}
        )

    def to_store(self, credential: Credential) -> Credential:
        """The credential without what it is not stored with."""
        passing = {one.name for one in self.fields if not one.stored}
        kept = {name: value for name, value in credential.values.items() if name not in passing}
        return Credential(kept)


#: One access token, which most platforms ask for.
ACCESS_TOKEN = CredentialForm(
    fields=(CredentialField(name="access_token", help="The access token."),)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """What the environment says of one platform."""

    #: Windows, margins, history and recent days.
    rules: SettlementRules
    #: The checked value of each option, by the option's name.
    options: Mapping[str, str]


class Grant(NamedTuple):
    """How a platform's stored credentials become access tokens, and where."""

    words: TokenGrant
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformPlugin:
    """A platform: what it is called, where it is, what it needs, and how it is read."""

    #: In tables, partition keys and, in upper case, in the names of its variables.
    key: Platform
    #: As people call it, in sentences.
    label: str
    #: Where it is unless ADSYNC_<KEY>_BASE_URL says otherwise.
    base_url: str
    #: Its own window, margin and retention; variables may change window and margin.
    rules: SettlementRules
    #: Makes the adapter, which holds no state and is shared by threads.
    adapter: Callable[[PlatformSettings], PlatformAdapter]
    credential: CredentialForm = ACCESS_TOKEN
    #: What the id of an entity looks like, by level: a regular expression that both Python and
    #: PostgreSQL read alike. A row with another id is not asked for, and is reported; where
    #: nothing is said, any text may be one.
    entity_ids: Mapping[Level, str] = field(default_factory=dict)
    #: What else it lets people set.
    options: tuple[Option, ...] = ()
    #: Makes the exchange of a stored credential for access tokens; None: it is sent as it is.
    grant: Callable[[PlatformSettings], Grant] | None = None
    #: The package it came with; filled in when it is found.
    package: str = field(default="adsync-dagster", compare=False)

    @property
    def id_forms(self) -> dict[Level, str]:
        """What an id looks like at every level."""
        return {level: self.entity_ids.get(level, ".+") for level in LEVELS}

    @property
    def variables(self) -> dict[str, Option]:
        """Every variable it reads, by the variable's name: three that all have, and its own."""
        days = whole_number(0, 365)
        common = (
            Option(
                name="BASE_URL",
                help=f"Where {self.label} is",
                default=self.base_url,
                check=web_address,
            ),
            Option(
                name="WINDOW_DAYS",
                help=f"Days {self.label} keeps revising a day, at most, after it ends",
                default=str(self.rules.window_days),
                check=days,
            ),
            Option(
                name="MARGIN_DAYS",
                help="Days added before a day is sealed",
                default=str(self.rules.margin_days),
                check=days,
            ),
        )
        return {
            option.variable or f"ADSYNC_{self.key.upper()}_{option.name}": option
            for option in (*common, *self.options)
        }

    def settings(
        self, variables: Mapping[str, str], *, history_days: int, recent_days: int
    ) -> PlatformSettings:
        """What these variables, where they are set, make of the defaults; UsageError if wrong."""
        values = {
            option.name: option.check(variable, variables[variable])
            if variables.get(variable)
            else option.default
            for variable, option in self.variables.items()
        }
        rules = replace(
            self.rules,
            window_days=int(values["WINDOW_DAYS"]),
            margin_days=int(values["MARGIN_DAYS"]),
            history_days=history_days,
            recent_days=recent_days,
        )
        return PlatformSettings(rules=rules, options=values)
