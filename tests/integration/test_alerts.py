"""Alerts through a real Dagster instance, a real warehouse, a real webhook and a real mail server.

Each kind of trouble is told once; nothing changing is silence; being over is told once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest
from dagster_support import finish_changes, pause_a_campaign
from harness import TOKEN, Harness
from receivers import HOOK_PATH, HookReceiver, MailServer, hook_receiver, mail_server

from adsync_dagster import alert_sensors
from adsync_dagster.alert_sensors import NOT_CONFIGURED, build_alert_sensors
from adsync_dagster.alerts.rendering import LISTED_MAX
from adsync_dagster.alerts.settings import AlertSettings, MailSettings
from adsync_dagster.assets.partitions import AD_ACCOUNTS_NAME
from adsync_dagster.definitions import build_definitions
from adsync_dagster.errors import Unreachable
from adsync_dagster.records import AccountInfo, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.database import Database

HOUR = timedelta(hours=1)


@dataclass
class Scene:
    """A deployment: warehouse, simulated platform, Dagster instance, receivers."""

    harness: Harness
    instance: dg.DagsterInstance
    hook: HookReceiver
    mail: MailServer
    settings: Settings
    #: The sensors' cursors, as the daemon keeps them.
    cursors: dict[str, str | None] = field(default_factory=dict)
    #: What the last tick of alert_sensor answered.
    said: str = ""
    is_down: bool = False

    @property
    def key(self) -> str:
        return self.harness.account.key

    @property
    def database(self) -> Database:
        return self.harness.environment.database

    @contextmanager
    def open_warehouse(self) -> Iterator[Database]:
        if self.is_down:
            raise Unreachable("the database does not answer")
        yield self.database

    def look(self) -> list[dict[str, Any]]:
        """A tick of each sensor, as the daemon evaluates it; what reached the webhook."""
        definitions = build_definitions(self.harness.settings)
        for sensor in reversed(build_alert_sensors(self.settings, warehouse=self.open_warehouse)):
            with dg.build_sensor_context(
                instance=self.instance,
                cursor=self.cursors.get(sensor.name),
                repository_def=definitions.get_repository_def(),
                sensor_name=sensor.name,
            ) as context:
                data = sensor.evaluate_tick(context)
            assert not data.run_requests
            self.cursors[sensor.name] = data.cursor
            self.said = data.skip_message or ""
        return self.hook.take()

    def wait(self, time: timedelta) -> None:
        """Let the warehouse's time pass."""
        self.harness.clock.instant += time

    def run(self, job: str = "account_sync_job", **config: Any) -> bool:
        """Run a job for the account; whether it succeeded."""
        definitions = build_definitions(
            self.harness.settings, resources={"adsync": self.harness.environment}
        )
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=self.key,
            run_config={"ops": {"account_sync": {"config": config}}},
            raise_on_error=False,
        )
        return result.success


@pytest.fixture
def scene(database_url: str, tmp_path: Path) -> Iterator[Scene]:
    """A deployment in good order: one account, synced; both channels configured."""
    with (
        Harness(database_url, tmp_path / "home", campaigns=1, adsets=1, ads=1) as harness,
        dg.instance_for_test() as instance,
        hook_receiver() as hook,
        mail_server() as mail,
    ):
        assert harness.sync().error is None
        instance.add_dynamic_partitions(AD_ACCOUNTS_NAME, [harness.account.key])
        chosen = AlertSettings(
            webhook_url=hook.url,
            mail=MailSettings(
                host="127.0.0.1",
                port=mail.port,
                security="none",
                sender="adsync@example.com",
                recipients=("ops@example.com", "data@example.com"),
            ),
            ui_url="https://dagster.example.com",
        )
        scene = Scene(
            harness=harness,
            instance=instance,
            hook=hook,
            mail=mail,
            settings=replace(harness.settings, alerts=chosen),
        )
        assert scene.look() == []
        yield scene


def text_of(message: dict[str, Any]) -> str:
    """All that a person reads in a webhook's message."""
    return orjson.dumps(message).decode()


def block_account(scene: Scene) -> None:
    """Take the account's credential away and let a sync find out."""
    with scene.database.connection() as connection:
        accounts.set_blocked(connection, scene.harness.account, "credential", f"no {TOKEN}")


def unblock_account(scene: Scene) -> None:
    """Somebody acted."""
    with scene.database.connection() as connection:
        accounts.clear_blocked(connection, scene.harness.account)


def leave_a_residual(scene: Scene, *, residual_class: str | None = "unexplained") -> None:
    """A day on which rows and total differ, with that class."""
    scene.harness.query(
        "UPDATE ad_account_days SET stored_spend = total_spend - 12.34, residual_class = %s"
        " WHERE level = 'ad' AND date = (SELECT max(date) FROM ad_account_days)",
        residual_class,
    )


def mend_the_residual(scene: Scene) -> None:
    """The day adds up again."""
    scene.harness.query("UPDATE ad_account_days SET stored_spend = total_spend")


def test_a_healthy_deployment_is_silent(scene: Scene) -> None:
    """Look after look, nothing is sent while nothing is wrong."""
    for _ in range(3):
        scene.wait(HOUR * 30)
        with scene.database.connection() as connection:
            accounts.mark_synced(connection, scene.harness.account)
        assert scene.look() == []
    assert scene.mail.take() == []
    assert scene.said == "0 problems open; nothing new to tell"


@pytest.mark.parametrize(
    ("make", "mend", "words", "link"),
    [
        (
            block_account,
            unblock_account,
            "Shop (facebook:act_501) is blocked: credential since",
            "/assets/final_sync_completion?view=partitions&partition=facebook%3Aact_501",
        ),
        (
            lambda s: pause_a_campaign(s.database, s.harness.account, since="7 hours"),
            lambda s: finish_changes(s.database, s.harness.account),
            "1 final sync of Shop (facebook:act_501) is overdue since",
            "/assets/final_sync_completion?",
        ),
        (
            leave_a_residual,
            mend_the_residual,
            "1 day of Shop (facebook:act_501) (2026-03-10) without a reason",
            "/assets/metrics?",
        ),
    ],
    ids=["blocked account", "overdue change", "unexplained residual"],
)
def test_each_trouble_is_told_once_and_its_end_once(
    scene: Scene, make: Any, mend: Any, words: str, link: str
) -> None:
    """One message by each channel when it begins, silence while it lasts, one when it is over."""
    make(scene)
    [message] = scene.look()
    assert words in text_of(message)
    assert f"https://dagster.example.com{link}" in text_of(message)
    assert message["text"].startswith("adsync: 1 new problem\n")
    [mail] = scene.mail.take()
    assert mail["subject"] == "adsync: 1 new problem"
    assert mail["to"] == "ops@example.com, data@example.com"
    assert words in mail.get_payload()

    for _ in range(3):
        scene.wait(HOUR)
        assert scene.look() == []
    assert scene.mail.take() == []

    mend(scene)
    assert scene.look() == []
    scene.wait(timedelta(minutes=11))
    [message] = scene.look()
    assert message["text"].startswith("adsync: 1 over\n")
    assert words.split(" since", maxsplit=1)[0] in text_of(message)
    [mail] = scene.mail.take()
    assert mail["subject"] == "adsync: 1 over"
    scene.wait(HOUR * 48)
    assert scene.look() == []
    assert scene.mail.take() == []


def test_a_failed_run_is_told_once_and_made_good_by_a_later_one(scene: Scene) -> None:
    """However often the job fails it is one message; the first success for its account ends it."""
    assert not scene.run(date_from="2026-03-01")
    [message] = scene.look()
    assert "Run of account_sync_job failed at" in text_of(message)
    assert "(facebook:act_501)" in text_of(message)
    [record] = scene.instance.get_run_records()
    assert f"https://dagster.example.com/runs/{record.dagster_run.run_id}" in text_of(message)

    assert scene.look() == []
    scene.wait(HOUR)
    assert not scene.run(date_from="2026-03-01")
    assert scene.look() == []
    scene.wait(HOUR * 25)
    [message] = scene.look()
    assert message["text"].startswith("adsync: 1 still there\n")
    assert "failed 2 times, last at" in text_of(message)
    scene.wait(HOUR * 25)
    assert scene.look() == [], "a run that did not fail again is no news"

    assert scene.run()
    assert scene.look() == []
    scene.wait(timedelta(minutes=11))
    [message] = scene.look()
    assert message["text"].startswith("adsync: 1 over\n")


def test_a_run_that_dagster_retries_is_left_to_its_retry(scene: Scene) -> None:
    """A failure that Dagster answers with another run is no failure yet."""
    assert not scene.run(date_from="2026-03-01")
    [record] = scene.instance.get_run_records()
    scene.instance.add_run_tags(record.dagster_run.run_id, {"dagster/will_retry": "true"})

    assert scene.look() == []


def test_a_failing_check_is_told_from_its_stored_result(scene: Scene) -> None:
    """The latest result of a check that no account explains is read from Dagster's records."""
    scene.harness.query("ALTER TABLE ads DISABLE TRIGGER trigger_log_ad_status_change")
    check_now(scene)
    [message] = scene.look()
    assert "Check triggers_present_and_enabled of ad_status_change_log fails: 1 found" in text_of(
        message
    )
    assert "checkDetail=triggers_present_and_enabled" in text_of(message)

    scene.harness.query("ALTER TABLE ads ENABLE ALWAYS TRIGGER trigger_log_ad_status_change")
    check_now(scene)
    assert scene.look() == []
    scene.wait(timedelta(minutes=11))
    [message] = scene.look()
    assert message["text"].startswith("adsync: 1 over\n")


def check_now(scene: Scene) -> None:
    """A run of health_checks_job."""
    definitions = build_definitions(
        scene.harness.settings, resources={"adsync": scene.harness.environment}
    )
    job = definitions.resolve_job_def("health_checks_job")
    assert job.execute_in_process(instance=scene.instance).success


def test_a_problem_that_lasts_is_told_again_after_the_reminder(scene: Scene) -> None:
    """Once a day by default, and the message says that it is not new."""
    block_account(scene)
    assert len(scene.look()) == 1
    scene.wait(HOUR * 23)
    assert scene.look() == []
    scene.wait(HOUR * 2)
    [message] = scene.look()
    assert message["text"].startswith("adsync: 1 still there\n")
    scene.wait(HOUR)
    assert scene.look() == []


def test_a_wiped_dagster_repeats_nothing(scene: Scene) -> None:
    """Who was told of what stands in the warehouse: new cursors and a new instance are silent."""
    block_account(scene)
    assert not scene.run(date_from="2026-03-01")
    assert len(scene.look()) == 1

    with dg.instance_for_test() as fresh:
        scene.instance, scene.cursors = fresh, {}
        assert scene.look() == []
        unblock_account(scene)
        assert scene.look() == []
        scene.wait(timedelta(minutes=11))
        [message] = scene.look()
        assert message["text"].startswith("adsync: 1 over\n")


def test_what_comes_and_goes_is_told_once(scene: Scene) -> None:
    """A block that is lifted and set again within minutes is the same problem."""
    block_account(scene)
    assert len(scene.look()) == 1
    for _ in range(3):
        unblock_account(scene)
        scene.wait(timedelta(minutes=2))
        assert scene.look() == []
        block_account(scene)
        scene.wait(timedelta(minutes=2))
        assert scene.look() == []


def test_five_hundred_blocked_accounts_are_one_message(scene: Scene) -> None:
    """The gravest are listed, the others counted; no channel gets more than one message a look."""
    with scene.database.connection() as connection:
        for number in range(500):
            info = AccountInfo(
                platform_account_id=f"act_{number:04}",
                name="<!channel> & <https://evil.test|click>",
                currency="USD",
                timezone="UTC",
                status="1",
            )
            account = accounts.add_account(connection, Platform.FACEBOOK, info)
            accounts.set_blocked(connection, account, "permission", "detail")
    [message] = scene.look()

    text = text_of(message)
    assert message["text"].startswith("adsync: 500 new problems\n")
    assert f"and {500 - LISTED_MAX} more" in text
    assert len(message["blocks"]) <= 50
    assert all(len(b.get("text", {}).get("text", "")) <= 3000 for b in message["blocks"])
    assert "<!channel>" not in text
    assert "&lt;!channel&gt; &amp; &lt;https://evil.test|click&gt;" in text
    [mail] = scene.mail.take()
    assert mail["subject"] == "adsync: 500 new problems"
    assert scene.look() == []


def test_a_failed_delivery_is_tried_again_and_the_other_channel_is_not_repeated(
    scene: Scene,
) -> None:
    """A webhook that is down gets its message later; the mail that arrived is not sent twice."""
    scene.hook.status = 503
    block_account(scene)
    assert scene.look() == []
    assert "NOT told by webhook, tried again at the next look: the webhook answered HTTP 503" in (
        scene.said
    )
    assert len(scene.mail.take()) == 1
    [row] = scene.harness.query("SELECT * FROM ad_alerts WHERE channel = 'webhook'")
    assert (row["told_at"], row["attempts"]) == (None, 1)
    assert row["error"] == "the webhook answered HTTP 503"

    scene.hook.status = 200
    [message] = scene.look()
    assert message["text"].startswith("adsync: 1 new problem\n")
    assert scene.mail.take() == []


def test_what_ended_before_anybody_could_be_told_is_told_nevertheless(scene: Scene) -> None:
    """An alert is not lost because the channel was down for as long as the problem lasted."""
    scene.hook.status = 500
    block_account(scene)
    scene.look()
    unblock_account(scene)
    scene.look()
    scene.wait(timedelta(minutes=11))
    scene.look()
    scene.hook.status = 200

    [message] = scene.look()
    assert "nobody could be told while it lasted" in text_of(message)
    assert scene.look() == []


def test_without_a_channel_nothing_is_looked_at(scene: Scene) -> None:
    """Nothing configured: the sensors say so, send nothing and do not touch the warehouse."""
    scene.settings = replace(scene.settings, alerts=AlertSettings())
    block_account(scene)
    scene.is_down = True

    assert scene.look() == []
    assert scene.said == NOT_CONFIGURED
    assert scene.harness.query("SELECT * FROM ad_alerts") == []


def test_an_unreachable_warehouse_is_told_once_and_loses_no_failed_run(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is away with the warehouse: the cursor remembers, and failed runs are caught up."""
    scene.is_down = True
    assert scene.look() == [], "a restart of the database is not worth a message"
    monkeypatch.setattr(alert_sensors, "DOWN_HOLD", timedelta(0))
    assert not scene.run(date_from="2026-03-01")
    [message] = scene.look()
    assert "The warehouse cannot be used since" in text_of(message)
    assert scene.look() == []

    scene.is_down = False
    over, failed = scene.look()
    assert over["text"].startswith("adsync: 1 over\n")
    assert "Run of account_sync_job failed" in text_of(failed)
    assert scene.look() == []


def test_messages_table_and_ticks_hold_no_secret(scene: Scene) -> None:
    """No token, no URL of the webhook, no error text and no amount is in anything that is kept."""
    block_account(scene)
    leave_a_residual(scene)
    pause_a_campaign(scene.database, scene.harness.account, since="7 hours")
    said = []
    for status in (404, 200):
        scene.hook.status = status
        [*messages] = scene.look()
        said += [scene.said, *map(text_of, messages)]
    said += [mail.as_string() for mail in scene.mail.take()]
    said += [str(scene.harness.query("SELECT * FROM ad_alerts")), str(scene.cursors)]

    assert len(said) == 6
    for text in said:
        for secret in (TOKEN, HOOK_PATH, "sim_", "12.34", "Spring", scene.hook.url):
            assert secret not in text
    assert scene.hook.url not in repr(scene.settings)
