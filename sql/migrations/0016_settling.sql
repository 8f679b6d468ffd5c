-- Two answers that are believed only when the platform gives them again: a window that shrinks, and a
-- day without anything. They may lack rows, and what is sealed too early is never read again.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

ALTER TABLE ad_accounts ADD COLUMN IF NOT EXISTS shorter_settling_days integer;
ALTER TABLE ad_accounts ADD COLUMN IF NOT EXISTS shorter_settling_since timestamptz;
COMMENT ON COLUMN ad_accounts.shorter_settling_days IS 'What settles_after_days becomes if the platform still tells a shorter window an hour after shorter_settling_since; null where it tells none.';
COMMENT ON COLUMN ad_accounts.shorter_settling_since IS 'When the platform first told a window shorter than settles_after_days has it; null where it tells none.';

ALTER TABLE ad_account_days ADD COLUMN IF NOT EXISTS empty_since timestamptz;
COMMENT ON COLUMN ad_account_days.empty_since IS 'Since when the platform''s total of the day was told as zero, every time; null when it is not. UTC.';
COMMENT ON COLUMN ad_account_days.apart_since IS 'Since when rows and total are apart by just these amounts, with just this residual_class; null when they add up. UTC.';
