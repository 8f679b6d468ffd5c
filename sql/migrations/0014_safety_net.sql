-- When the weekly net last looked at an account; and a way to settle, by hand, a logged change of an
-- adopted database that lacks its kind, entity or account.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

-- The net begins with the account that waited longest, so that one which is cut off leaves out
-- other accounts the next time.
ALTER TABLE ad_accounts ADD COLUMN IF NOT EXISTS last_safety_net_at timestamptz;
COMMENT ON COLUMN ad_accounts.last_safety_net_at IS 'When the weekly safety net last ended with this account, whatever came of it. The next one begins with the account that waited longest.';

-- As before, and the change itself is settled whatever it lacks: an equality with NULL settled
-- nothing, and the function said that it had.
CREATE OR REPLACE FUNCTION mark_final_sync_completed(p_log_id uuid, p_success boolean DEFAULT true, p_error text DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  change ad_status_change_log;
  moment timestamptz := adsync_now();
BEGIN
  SELECT * INTO change FROM ad_status_change_log WHERE id = p_log_id FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no status change % in the log', p_log_id USING ERRCODE = 'no_data_found';
  END IF;
  IF change.final_sync_completed IS NOT FALSE THEN
    RETURN false;
  END IF;
  IF NOT p_success THEN
    UPDATE ad_status_change_log
       SET final_sync_attempted_at = moment, final_sync_error = coalesce(p_error, 'failed without a message'),
           attempts = change.attempts + 1, claim_token = NULL, claimed_at = NULL,
           next_attempt_at = moment + least(interval '6 hours', interval '1 minute' * power(2, least(change.attempts, 9)))
     WHERE id = p_log_id;
    RETURN true;
  END IF;
  UPDATE ad_status_change_log
     SET final_sync_completed = true, final_sync_completed_at = moment, final_sync_attempted_at = moment,
         final_sync_error = NULL, blocked_reason = NULL, claim_token = NULL, claimed_at = NULL
   WHERE NOT final_sync_completed
     AND (id = p_log_id
          OR (ad_account_id = change.ad_account_id AND entity_type = change.entity_type
              AND entity_id = change.entity_id AND change_seq <= change.change_seq));
  CASE change.entity_type
    WHEN 'campaign' THEN UPDATE ad_campaigns SET last_final_sync_at = moment WHERE id = change.entity_id;
    WHEN 'adset' THEN UPDATE ad_sets SET last_final_sync_at = moment WHERE id = change.entity_id;
    ELSE UPDATE ads SET last_final_sync_at = moment WHERE id = change.entity_id;
  END CASE;
  RETURN true;
END $$;
