-- What an account was before the platform said otherwise: a currency or a time zone that changes
-- changes the meaning of every amount and every day stored until then.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

CREATE TABLE IF NOT EXISTS ad_account_changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ad_account_id uuid NOT NULL REFERENCES ad_accounts (id),
  old_currency text,
  new_currency text,
  old_timezone text,
  new_timezone text,
  old_account_status text,
  new_account_status text,
  changed_at timestamptz NOT NULL DEFAULT adsync_now()
);
CREATE INDEX IF NOT EXISTS ad_account_changes_account_idx ON ad_account_changes (ad_account_id, id);

COMMENT ON TABLE ad_account_changes IS 'Changes of an account''s currency, time zone or standing. Amounts and days stored before changed_at are in the old ones. Append-only.';
COMMENT ON COLUMN ad_account_changes.id IS 'Order of observation.';
COMMENT ON COLUMN ad_account_changes.ad_account_id IS 'The account.';
COMMENT ON COLUMN ad_account_changes.old_currency IS 'Currency of amounts stored before.';
COMMENT ON COLUMN ad_account_changes.new_currency IS 'Currency of amounts stored since.';
COMMENT ON COLUMN ad_account_changes.old_timezone IS 'Zone of days stored before.';
COMMENT ON COLUMN ad_account_changes.new_timezone IS 'Zone of days stored since.';
COMMENT ON COLUMN ad_account_changes.old_account_status IS 'The platform''s word for the account''s state before.';
COMMENT ON COLUMN ad_account_changes.new_account_status IS 'The platform''s word for the account''s state since.';
COMMENT ON COLUMN ad_account_changes.changed_at IS 'When the change was observed.';

CREATE OR REPLACE FUNCTION log_account_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  INSERT INTO ad_account_changes (ad_account_id, old_currency, new_currency, old_timezone, new_timezone,
                                  old_account_status, new_account_status)
  VALUES (NEW.id, OLD.currency, NEW.currency, OLD.timezone, NEW.timezone, OLD.account_status, NEW.account_status);
  RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION log_account_change() FROM PUBLIC;

CREATE OR REPLACE TRIGGER trigger_log_account_change AFTER UPDATE ON ad_accounts FOR EACH ROW
  WHEN ((OLD.currency, OLD.timezone, OLD.account_status) IS DISTINCT FROM (NEW.currency, NEW.timezone, NEW.account_status))
  EXECUTE FUNCTION log_account_change();
ALTER TABLE ad_accounts ENABLE ALWAYS TRIGGER trigger_log_account_change;

CREATE OR REPLACE TRIGGER guard_delete BEFORE DELETE ON ad_account_changes FOR EACH ROW EXECUTE FUNCTION refuse_deletion();
CREATE OR REPLACE TRIGGER guard_truncate BEFORE TRUNCATE ON ad_account_changes EXECUTE FUNCTION refuse_deletion();
