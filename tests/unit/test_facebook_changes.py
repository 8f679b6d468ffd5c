"""The activity log as hints: labels, chains of steps, duplicates, legacy names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from driving import ADAPTER, STARTED, Driven, Script, answer, drive, failure, page

from adsync_dagster.errors import IncompleteRead
from adsync_dagster.records import ChangeHint, Level

SINCE = datetime(2026, 11, 18, 0, 0, 0, 500_000, tzinfo=UTC)
UNTIL = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def event(
    clock: str,
    old: Any = "Active",
    new: Any = "Inactive",
    *,
    kind: str = "update_ad_run_status",
    object_type: str = "ADGROUP",
    object_id: Any = "6300001",
    **extra: Any,
) -> dict[str, Any]:
    """One record of the log, of 20 November."""
    data = {"old_value": old, "new_value": new, "campaign_id": 6200001, "type": "run_status"}
    return {
        "event_time": f"2026-11-20T{clock}+0000",
        "event_type": kind,
        "object_id": object_id,
        "object_type": object_type,
        "extra_data": orjson.dumps(data | extra).decode(),
    }


def read(script: list[Script]) -> Driven:
    """The log of the period."""
    return drive(ADAPTER.read_change_history("act_501", SINCE, UNTIL, STARTED), script)


def hints(*events: dict[str, Any]) -> list[ChangeHint]:
    """The hints of one page of records."""
    done = read([page(list(events))])
    assert done.verdict is not None
    assert done.verdict.row_count == len(done.records)
    return [record for record in done.records if isinstance(record, ChangeHint)]


def changes(*events: dict[str, Any]) -> list[tuple[str | None, str | None]]:
    """Old and new status of the hints."""
    return [(hint.old_status, hint.new_status) for hint in hints(*events)]


def test_the_period_is_always_asked_for() -> None:
    """Without since and until Meta answers one week."""
    done = read([answer({"data": []})])
    params = done.requests[0].params
    assert done.requests[0].path == "/v26.0/act_501/activities"
    assert params["since"] == str(int(SINCE.timestamp()))
    assert int(params["until"]) > UNTIL.timestamp()
    assert done.verdict is not None


def test_a_change_becomes_a_hint() -> None:
    """Level, id, instant and both statuses, with the raw words beside them."""
    (hint,) = hints(event("23:04:11"))
    assert hint.level is Level.AD
    assert hint.platform_id == "6300001"
    assert hint.occurred_at == datetime(2026, 11, 20, 23, 4, 11, tzinfo=UTC)
    assert (hint.old_status, hint.new_status) == ("ACTIVE", "PAUSED")
    assert hint.raw["event_type"] == "update_ad_run_status"
    assert hint.raw["steps"] == [["2026-11-20T23:04:11+00:00", "Active", "Inactive"]]


@pytest.mark.parametrize(
    ("kind", "object_type", "level"),
    [
        ("update_campaign_run_status", "CAMPAIGN_GROUP", Level.CAMPAIGN),
        ("update_ad_set_run_status", "CAMPAIGN", Level.ADSET),
        ("update_ad_run_status", "ADGROUP", Level.AD),
        ("update_ad_run_status_to_be_set_after_review", "ADGROUP", Level.AD),
    ],
)
def test_objects_have_their_legacy_names(kind: str, object_type: str, level: Level) -> None:
    """CAMPAIGN is an ad set and CAMPAIGN_GROUP a campaign in the log."""
    (hint,) = hints(event("10:00:00", kind=kind, object_type=object_type))
    assert hint.level is level


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Active", "Inactive", ("ACTIVE", "PAUSED")),
        ("Activo", "Inactivo", ("ACTIVE", "PAUSED")),
        ("Ativa", "Inativa", ("ACTIVE", "PAUSED")),
        ("Inactive", "Active", ("PAUSED", "ACTIVE")),
        ("Active", "Deleted", ("ACTIVE", "DELETED")),
        ("Active", "Archived", ("ACTIVE", "ARCHIVED")),
        ("Active", "投放结束", ("ACTIVE", None)),
        (1, 7, ("ACTIVE", "PAUSED")),
        (1, 8, ("ACTIVE", "PAUSED")),
        (15, 1, ("PAUSED", "ACTIVE")),
        (99, 1, (None, "ACTIVE")),
        (None, "Active", (None, "ACTIVE")),
        (["Active"], "Inactive", (None, "PAUSED")),
        (True, "Inactive", (None, "PAUSED")),
    ],
)
def test_labels_of_several_languages_are_known(
    old: Any, new: Any, expected: tuple[str | None, str | None]
) -> None:
    """Known labels and codes are normalised; unknown ones stay raw with None."""
    assert changes(event("10:00:00", old, new)) == [expected]


def test_values_may_be_nested() -> None:
    """Some records keep the values one level down."""
    nested = event("10:00:00", None, None, run_status={"old_value": 1, "new_value": 7})
    assert changes(nested) == [("ACTIVE", "PAUSED")]


def test_steps_of_one_click_are_one_change() -> None:
    """Active, Pending Process, Inactive is one pause, dated by its first step."""
    first = event("10:00:00", "Active", "Pending Process")
    last = event("10:00:02", "Pending Process", "Inactive")
    for order in ([last, first], [first, last]):
        (hint,) = hints(*order)
        assert (hint.old_status, hint.new_status) == ("ACTIVE", "PAUSED")
        assert hint.occurred_at.second == 0
        assert len(hint.raw["steps"]) == 2


def test_steps_within_one_second_keep_their_order() -> None:
    """The log is newest first, which tells the order where the time does not."""
    last = event("10:00:00", "Pending Process", "Inactive")
    first = event("10:00:00", "Active", "Pending Process")
    assert changes(last, first) == [("ACTIVE", "PAUSED")]


def test_steps_of_different_objects_do_not_mix() -> None:
    """Chains belong to one object."""
    assert sorted(
        changes(
            event("10:00:03", "Pending Process", "Inactive", object_id="6300002"),
            event("10:00:02", "Pending Process", "Active", object_id="6300001"),
            event("10:00:01", "Active", "Pending Process", object_id="6300002"),
            event("10:00:00", "Inactive", "Pending Process", object_id="6300001"),
        )
    ) == [("ACTIVE", "PAUSED"), ("PAUSED", "ACTIVE")]


def test_a_chain_that_ends_where_it_began_is_no_change() -> None:
    """Active, Pending Process, Active changed nothing that lasted."""
    assert (
        changes(
            event("10:00:02", "Pending Process", "Active"),
            event("10:00:00", "Active", "Pending Process"),
        )
        == []
    )


def test_an_unfinished_chain_is_told_as_far_as_it_goes() -> None:
    """An object still in process has left its old state."""
    assert changes(event("10:00:00", "Active", "Pending Process")) == [("ACTIVE", "IN_PROCESS")]


def test_a_chain_does_not_swallow_an_unrelated_step() -> None:
    """When the steps do not meet, both are told."""
    assert changes(
        event("11:00:00", "Active", "Inactive"),
        event("10:00:00", "Inactive", "Pending Process"),
    ) == [("PAUSED", "IN_PROCESS"), ("ACTIVE", "PAUSED")]


def test_flapping_keeps_every_change() -> None:
    """Paused and resumed between two polls are two hints, oldest first."""
    assert changes(
        event("12:00:00", "Inactive", "Active"), event("11:00:00", "Active", "Inactive")
    ) == [("ACTIVE", "PAUSED"), ("PAUSED", "ACTIVE")]


def test_duplicates_across_pages_are_one() -> None:
    """The log has no event ids and its blobs change; the key is what happened to what, when."""
    first = event("10:00:00", last_learning_exit=1)
    again = event("10:00:00", last_learning_exit=2)
    done = read([page([first], "A", more=True), page([again])])
    assert len(done.records) == 1


def test_creations_are_hints_without_statuses() -> None:
    """An ad created and deleted between two listings leaves only this trace."""
    (hint,) = hints(event("10:00:00", kind="create_ad"))
    assert (hint.old_status, hint.new_status) == (None, None)
    assert hint.raw["event_type"] == "create_ad"


def test_other_records_are_passed_over() -> None:
    """Budgets, names, accounts and ids that are none say nothing about a status."""
    assert (
        hints(
            event("10:00:00", kind="update_ad_set_budget"),
            event("10:00:00", kind="ad_account_update_status", object_type="ACCOUNT"),
            event("10:00:00", object_type="SOMETHING"),
            event("10:00:00", object_id=None),
            event("10:00:00", object_id="x"),
        )
        == []
    )


def test_records_outside_the_period_are_passed_over() -> None:
    """A server that ignores the period does not widen it."""
    early = event("10:00:00") | {"event_time": "2026-11-17T23:59:59+0000"}
    edge = event("10:00:00") | {"event_time": "2026-11-18T00:00:00+0000"}
    assert len(hints(early, edge)) == 1


@pytest.mark.parametrize("extra", [None, "", "not json", "[]", "7", {"old_value": "Active"}])
def test_extra_data_that_cannot_be_read_leaves_the_hint(extra: Any) -> None:
    """That something happened is worth more than its labels."""
    (hint,) = hints(event("10:00:00") | {"extra_data": extra})
    assert hint.new_status is None


@pytest.mark.parametrize("change", [{"event_time": None}, {"event_time": "x"}])
def test_a_change_without_a_time_raises(change: dict[str, Any]) -> None:
    """A hint has to be placed in time."""
    assert type(read([page([event("10:00:00") | change])]).error) is IncompleteRead


def test_a_record_that_is_none_raises() -> None:
    """Something else than records in the log is a broken answer."""
    assert type(read([page(["x"])]).error) is IncompleteRead


def test_a_stale_cursor_does_not_double_the_hints() -> None:
    """Starting again repeats records, which are the same steps."""
    one = event("10:00:00")
    done = read([page([one], "A", more=True), failure(2642), page([one])])
    assert len(done.records) == 1


def test_many_hints_are_handed_on_in_portions() -> None:
    """A long log does not become one huge batch of rows."""
    many = [event("10:00:00", object_id=str(6300000 + n)) for n in range(1200)]
    done = read([page(many)])
    assert [len(rows.records) for rows in done.pages] == [500, 500, 200]
