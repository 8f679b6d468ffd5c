-- Every word that blocked_reason can hold, and what "final" means for a day. Comments only.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

COMMENT ON COLUMN ad_accounts.blocked_reason IS 'Machine-readable word when a person must act: credential, permission, account, or blocked (another reason; the detail says which); else null.';
COMMENT ON COLUMN ad_status_change_log.blocked_reason IS 'Machine-readable word when a person must act: credential, permission, account, blocked (another reason), unreachable (the platform no longer shows the entity), or unreadable (the row names nothing that the platform could have); else null. Such changes are tried hourly and use up no attempts.';
COMMENT ON COLUMN v_blocked.reason IS 'credential, permission, account, or blocked; of final syncs also unreachable (the platform no longer shows the entity) and unreadable (the row names nothing that the platform could have).';

COMMENT ON COLUMN ad_account_days.state IS 'open: may be incomplete. reconciled: rows add up to the total, or the difference is explained. sealed: final, no longer due; only a read that covers it for another reason (days a person chose, a final sync over older days) still writes it.';
COMMENT ON COLUMN v_account_completeness.state IS 'The least settled of the three levels. open: may be incomplete, or was never read. reconciled: rows add up to the platform''s total, or the difference is explained. sealed: final, no longer due; only a read that covers it for another reason (days a person chose, a final sync over older days) still writes it.';
