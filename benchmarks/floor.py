"""The floor: the sync's own requests fetched, parsed and copied, and nothing else.

One thread, one kept-alive connection, orjson, one COPY per table into temporary tables without
index or constraint. Nothing is checked, converted, compared or kept: no client that has to
prove what it stores can be faster, and twice its time is what the sync may take.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import orjson
import psycopg
import requests
from psycopg import sql

from benchmarks.shapes import TOKEN

Row = tuple[Any, ...]

_METRICS = (
    "entity_type text, platform_id text, date date, platform_campaign_id text,"
    " platform_ad_set_id text, impressions bigint, clicks bigint, link_clicks bigint,"
    " spend numeric(18,6), reach bigint, frequency numeric, conversions numeric(18,6),"
    " conversion_value numeric(18,6), extra jsonb"
)
_ENTITIES = (
    "platform_id text, platform_campaign_id text, platform_ad_set_id text, name text,"
    " status text, effective_status text, platform_created_at timestamptz,"
    " platform_updated_at timestamptz, extra jsonb"
)
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Authorization": f"Bearer {TOKEN}",
}


class Floor:
    """Sends recorded requests again and copies what they answer."""

    def __init__(self, base_url: str, connection: psycopg.Connection[Row]) -> None:
        self._base_url = base_url
        self._connection = connection
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(_HEADERS)
        self.bytes = 0
        self.rows = 0

    def run(self, exchanges: Sequence[dict[str, Any]]) -> None:
        """All of it, in one transaction."""
        with self._connection.transaction(), self._session, ExitStack() as closing:
            write = None
            wanted = ""
            for exchange in exchanges:
                page = self._fetch(exchange)
                rows = page.get("data", ()) if isinstance(page, dict) else ()
                kind = _kind_of(rows)
                if kind and kind != wanted:
                    # The kinds follow one another; each run of one kind is a single COPY.
                    closing.close()
                    write, wanted = closing.enter_context(self._copy(kind)), kind
                if kind == "metrics" and write is not None:
                    self.rows += len(rows)
                    for row in rows:
                        write(_metrics_row(row))
                elif kind and write is not None:
                    for row in rows:
                        write(_entity_row(row))

    def _fetch(self, exchange: dict[str, Any]) -> Any:
        answer = self._session.request(
            exchange["method"],
            self._base_url + exchange["path"],
            params=exchange["params"],
            data=exchange["form"],
            stream=True,
        )
        body = answer.raw.read()
        answer.raw.release_conn()
        self.bytes += len(body)
        return orjson.loads(body)

    @contextmanager
    def _copy(self, kind: str) -> Iterator[Any]:
        table = sql.Identifier("pg_temp", f"floor_{kind}")
        columns = sql.SQL(_METRICS if kind == "metrics" else _ENTITIES)
        self._connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {} ({})").format(table, columns)
        )
        with (
            self._connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {} FROM STDIN").format(table)) as copy,
        ):
            yield copy.write_row


def _kind_of(rows: Sequence[dict[str, Any]]) -> str:
    """Which table a page belongs to; totals and other answers belong to none."""
    if not rows:
        return ""
    first = rows[0]
    if "date_start" in first:
        return "metrics" if "campaign_id" in first else ""
    return "entities" if "effective_status" in first else ""


def _metrics_row(row: dict[str, Any]) -> Row:
    get = row.get
    actions = get("actions")
    ad, adset = get("ad_id"), get("adset_id")
    return (
        "ad" if ad else "adset" if adset else "campaign",
        ad or adset or row["campaign_id"],
        row["date_start"],
        row["campaign_id"],
        adset,
        row["impressions"],
        row["clicks"],
        get("inline_link_clicks"),
        row["spend"],
        get("reach"),
        get("frequency"),
        "0",
        "0",
        None if actions is None else orjson.dumps([actions, get("action_values")]).decode(),
    )


def _entity_row(row: dict[str, Any]) -> Row:
    get = row.get
    return (
        row["id"],
        get("campaign_id"),
        get("adset_id"),
        get("name"),
        get("status"),
        get("effective_status"),
        get("created_time"),
        get("updated_time"),
        None,
    )
