-- Up to when the platform's own change history was read. The end of the last complete sync, which
-- stood for it, also moves when the history could not be read, and lies after the reading began.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

ALTER TABLE ad_accounts ADD COLUMN IF NOT EXISTS history_read_until timestamptz;
COMMENT ON COLUMN ad_accounts.history_read_until IS 'Up to here the platform''s own change history was read without a gap and every entity it names was looked up; the next sync reads on from here. Null before the first lists.';
