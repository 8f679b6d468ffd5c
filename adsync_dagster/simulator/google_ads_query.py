"""The Google Ads query language, as far as it can be taken apart without a field catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from adsync_dagster.simulator.google_ads_errors import query_error

_CLAUSES = re.compile(
    r"\s*SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<resource>\w+)"
    r"(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s+BY\s+(?P<order>.+?))?"
    r"(?:\s+LIMIT\s+(?P<limit>\S+))?"
    r"(?:\s+PARAMETERS\s+(?P<parameters>.+?))?\s*",
    re.DOTALL,
)
_CONDITION = re.compile(
    r"\s*(?P<field>[a-z][\w.]*)\s*"
    r"(?P<operator>!=|>=|<=|=|>|<|NOT\s+IN\b|IN\b|BETWEEN\b|DURING\b|IS\s+NOT\s+NULL|IS\s+NULL)\s*"
    r"(?P<value>\([^)]*\)|'[^']*'\s+AND\s+'[^']*'|'[^']*'|[\w.\-]*)\s*(?P<rest>AND\b.*)?",
    re.DOTALL,
)
_VALUE = re.compile(r"'([^']*)'|([\w.\-/~]+)")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of WHERE."""

    field: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query taken apart."""

    fields: tuple[str, ...]
    resource: str
    conditions: tuple[Condition, ...] = ()
    #: (field, descending)
    order: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    parameters: dict[str, str] = field(default_factory=dict)

    def on(self, name: str) -> list[Condition]:
        """The conditions on a field."""
        return [condition for condition in self.conditions if condition.field == name]

    def selects(self, prefix: str) -> bool:
        """Whether a field of that resource is selected."""
        return any(name.startswith(f"{prefix}.") for name in self.fields)


def parse_query(text: str) -> Query:
    """The query's parts; GoogleAdsError as Google would refuse it."""
    found = _CLAUSES.fullmatch(text)
    if found is None:
        raise query_error("UNEXPECTED_INPUT", "Error in query: unexpected input.")
    fields = tuple(name.strip() for name in found["fields"].split(","))
    if not all(re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)+", name) for name in fields):
        raise query_error("BAD_FIELD_NAME")
    limit = found["limit"]
    if limit is not None and not (limit.isdigit() and int(limit) > 0):
        raise query_error("BAD_LIMIT_VALUE")
    return Query(
        fields=fields,
        resource=found["resource"],
        conditions=tuple(_conditions(found["where"])),
        order=tuple(_order(found["order"])),
        limit=None if limit is None else int(limit),
        parameters=_parameters(found["parameters"]),
    )


def _conditions(text: str | None) -> list[Condition]:
    conditions = []
    while text:
        found = _CONDITION.fullmatch(text)
        if found is None:
            raise query_error("UNEXPECTED_INPUT", "Error in WHERE clause.")
        operator = " ".join(found["operator"].split())
        values = tuple(quoted or plain for quoted, plain in _VALUE.findall(found["value"]))
        if operator == "BETWEEN":
            values = tuple(quoted for quoted, _ in _VALUE.findall(found["value"]) if quoted)
        if not values and "NULL" not in operator:
            raise query_error("UNEXPECTED_INPUT", "Error in WHERE clause.")
        conditions.append(Condition(found["field"], operator, values))
        rest = found["rest"]
        text = rest[3:] if rest else None
    return conditions


def _order(text: str | None) -> list[tuple[str, bool]]:
    parts = []
    for part in (text or "").split(","):
        words = part.split()
        if words:
            parts.append((words[0], words[-1] == "DESC"))
    return parts


def _parameters(text: str | None) -> dict[str, str]:
    pairs = [part.partition("=") for part in (text or "").split(",") if part.strip()]
    return {name.strip(): value.strip() for name, _, value in pairs}
