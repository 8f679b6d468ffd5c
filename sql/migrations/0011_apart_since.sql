-- Since when a day is apart from the platform's total by just the amounts it is apart by now.
--
-- Two findings a minute apart are one: a platform in trouble tells the same untruth twice. Rows
-- are set to zero, and an unseen entity is believed in, only when an hour lies in between.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

ALTER TABLE ad_account_days ADD COLUMN IF NOT EXISTS apart_since timestamptz;

COMMENT ON COLUMN ad_account_days.apart_since IS 'Since when rows and total are apart by just these amounts; null when they add up. UTC.';
