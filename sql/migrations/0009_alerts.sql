-- Who was told of what: one row per problem and way to reach a person, from the moment it is
-- seen until its end was told. It lies here and not in Dagster's storage, so that a reset sensor,
-- a new code location or a wiped Dagster database neither repeats nor forgets an alert.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

CREATE TABLE IF NOT EXISTS ad_alerts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  channel text NOT NULL CHECK (channel IN ('webhook', 'email')),
  problem text NOT NULL,
  kind text NOT NULL,
  facts jsonb NOT NULL,
  opened_at timestamptz NOT NULL DEFAULT adsync_now(),
  seen_at timestamptz NOT NULL DEFAULT adsync_now(),
  told_at timestamptz,
  ended_at timestamptz,
  closed_at timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  error text
);
-- A problem is open at most once per channel; what is over is history.
CREATE UNIQUE INDEX IF NOT EXISTS ad_alerts_open_idx ON ad_alerts (channel, problem) WHERE closed_at IS NULL;

COMMENT ON TABLE ad_alerts IS 'Problems that a person is told of, a row per problem and channel. Written by alert_sensor; append-only but for its progress.';
COMMENT ON COLUMN ad_alerts.id IS 'Order of first sight.';
COMMENT ON COLUMN ad_alerts.channel IS 'How the person is reached: webhook or email.';
COMMENT ON COLUMN ad_alerts.problem IS 'The problem''s name, the same for as long as it lasts: its kind and what it is about.';
COMMENT ON COLUMN ad_alerts.kind IS 'blocked_account, blocked_changes, overdue_changes, unexplained_residuals, failed_check or failed_run.';
COMMENT ON COLUMN ad_alerts.facts IS 'What the message says: account, name, reason, count, dates. No numbers of ads, no error texts, no secrets.';
COMMENT ON COLUMN ad_alerts.opened_at IS 'When it was first seen.';
COMMENT ON COLUMN ad_alerts.seen_at IS 'When what is known of it last changed; for a failed run, its last failure.';
COMMENT ON COLUMN ad_alerts.told_at IS 'When the last alert or reminder of it was taken by the channel; NULL: not yet.';
COMMENT ON COLUMN ad_alerts.ended_at IS 'When it was first found to be over; NULL while it lasts.';
COMMENT ON COLUMN ad_alerts.closed_at IS 'When its end was told; NULL: a message may still be due.';
COMMENT ON COLUMN ad_alerts.attempts IS 'Deliveries that failed since the last one that succeeded.';
COMMENT ON COLUMN ad_alerts.error IS 'Why the last delivery failed; NULL after one that succeeded.';

CREATE OR REPLACE TRIGGER guard_delete BEFORE DELETE ON ad_alerts FOR EACH ROW EXECUTE FUNCTION refuse_deletion();
CREATE OR REPLACE TRIGGER guard_truncate BEFORE TRUNCATE ON ad_alerts EXECUTE FUNCTION refuse_deletion();
