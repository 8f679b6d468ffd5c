"""A read holds one page at a time: what it takes does not grow with what the platform has."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime

from unit.wire_server import Wire, client, serving
from warehouse_support import one

from adsync_dagster.platforms.facebook import FacebookAdapter
from adsync_dagster.platforms.facebook_wire import ReadLimits
from adsync_dagster.records import Level
from adsync_dagster.warehouse.database import AccountSession
from adsync_dagster.warehouse.staging import EntityStage

PAGE_ROWS = 100
#: A row's name alone is as long: kept rows would show at once.
NAME_CHARS = 3_000
STARTED = datetime(2026, 3, 10, tzinfo=UTC)


def peak_bytes(session: AccountSession, pages: int) -> int:
    """The most that Python held at once while a list of so many pages was read and staged."""

    def handler(wire: Wire, _: int) -> None:
        wire.server.seen.clear()
        page = (
            int(wire.path.rpartition("after=")[2].partition("&")[0] or 0)
            if "after=" in wire.path
            else 0
        )
        wire.reply(page_of(page, pages))

    with serving(handler) as server, EntityStage(session.connection, Level.AD) as stage:
        reader = client(server.url)
        adapter = FacebookAdapter(limits=ReadLimits(entity_page_rows=PAGE_ROWS))
        tracemalloc.start()
        try:
            reader.run(adapter.list_entities("501", Level.AD, STARTED), stage.add)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            reader.close()
        assert one(session.connection, "SELECT count(*) FROM stage_ads") == pages * PAGE_ROWS
    return peak


def page_of(page: int, pages: int) -> dict[str, object]:
    """One page of a list of ads, as Meta answers it."""
    rows = [
        {
            "id": f"1202{page:05}{row:05}",
            "account_id": "501",
            "campaign_id": "1",
            "adset_id": "2",
            "name": f"{page} {row} ".ljust(NAME_CHARS, "x"),
            "status": "ACTIVE",
            "effective_status": "ACTIVE",
        }
        for row in range(PAGE_ROWS)
    ]
    paging: dict[str, object] = {"cursors": {"after": str(page + 1)}}
    if page + 1 < pages:
        paging["next"] = f"https://graph.facebook.com/v26.0/act_501/ads?after={page + 1}"
    return {"data": rows, "paging": paging, "summary": {"total_count": pages * PAGE_ROWS}}


def test_a_large_list_takes_the_memory_of_one_page(session: AccountSession) -> None:
    """Eight times as many ads, 10 MB more of names, take no more than their ids."""
    small, large = peak_bytes(session, 5), peak_bytes(session, 40)

    assert large - small < 35 * PAGE_ROWS * NAME_CHARS / 4
