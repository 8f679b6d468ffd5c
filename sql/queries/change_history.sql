-- The platform's own change history, read after the lists of an account sync.

-- history_read_until --
-- Where the next reading of the history begins, and when the account's last complete sync ended:
-- syncs of earlier versions left only the latter.
SELECT history_read_until, last_synced_at FROM ad_accounts WHERE id = %(ad_account_id)s

-- set_history_read_until --
-- The history was read without a gap up to here.
UPDATE ad_accounts SET history_read_until = %(instant)s WHERE id = %(ad_account_id)s

-- own_status --
-- The own status that the latest read saw, of entities of one level.
SELECT {platform_id}, status FROM {entities}
 WHERE ad_account_id = %(ad_account_id)s AND {platform_id} = ANY (%(ids)s)
