-- The platform's own change history, read after the lists of an account sync.

-- last_synced_at --
-- When the account's last complete sync ended: what happened since is what nobody may have seen.
SELECT last_synced_at FROM ad_accounts WHERE id = %(ad_account_id)s

-- own_status --
-- The own status that the latest read saw, of entities of one level.
SELECT {platform_id}, status FROM {entities}
 WHERE ad_account_id = %(ad_account_id)s AND {platform_id} = ANY (%(ids)s)
