-- What a person may do to history_start, and what the stored conversions of a day are. Comments only.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

COMMENT ON COLUMN ad_accounts.history_start IS 'First account-local day that is kept; set by the first sync. adsync only ever moves it back; a person moves it forward to accept that the days before it stay as they are, because the platform does not report them any more.';
COMMENT ON COLUMN ad_account_days.stored_conversions IS 'Sum of our rows of this level; the total itself where the two differ by no more than the platform''s rounding of shared credit.';
COMMENT ON COLUMN ad_account_days.stored_conversion_value IS 'Sum of our rows of this level; the total itself where the two differ by no more than the platform''s rounding of shared credit.';
