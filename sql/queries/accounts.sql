-- ad_accounts: which accounts there are and how their syncs went.

-- list_accounts --
-- The accounts that are synced, in the order of their keys; all of them when asked.
SELECT id, platform, platform_account_id, name, currency, timezone, history_start, first_synced_at, is_active
  FROM ad_accounts
 WHERE is_active OR %(also_inactive)s
 ORDER BY platform, platform_account_id

-- safety_net_order --
-- Accounts in the order in which the weekly net looks at them: whoever waited longest comes first.
SELECT id FROM ad_accounts
 WHERE is_active
 ORDER BY last_safety_net_at NULLS FIRST, platform, platform_account_id

-- mark_safety_net --
-- The weekly net has ended with the account, whatever came of it.
UPDATE ad_accounts SET last_safety_net_at = adsync_now() WHERE id = %(id)s

-- get_account --
-- One account by platform and platform id, active or not.
SELECT id, platform, platform_account_id, name, currency, timezone, history_start, first_synced_at, is_active
  FROM ad_accounts
 WHERE platform = %(platform)s AND platform_account_id = %(platform_account_id)s

-- add_account --
-- Adds an account, or takes up again one that was deactivated. What is known of it is kept.
INSERT INTO ad_accounts AS a (platform, platform_account_id, name, currency, timezone, account_status, user_id,
                              history_start, created_at, updated_at)
VALUES (%(platform)s, %(platform_account_id)s, %(name)s, %(currency)s, %(timezone)s, %(account_status)s, %(user_id)s,
        %(history_start)s, adsync_now(), adsync_now())
ON CONFLICT (platform, platform_account_id) DO UPDATE
   SET name = excluded.name, currency = excluded.currency, timezone = excluded.timezone,
       account_status = excluded.account_status, user_id = coalesce(excluded.user_id, a.user_id),
       history_start = least(a.history_start, excluded.history_start), is_active = true,
       updated_at = adsync_now()
RETURNING id, platform, platform_account_id, name, currency, timezone, history_start, first_synced_at, is_active

-- update_account_info --
-- Stores what the platform says of the account, only when it differs.
UPDATE ad_accounts
   SET name = %(name)s, currency = %(currency)s, timezone = %(timezone)s, account_status = %(account_status)s,
       updated_at = adsync_now()
 WHERE id = %(id)s
   AND (name, currency, timezone, account_status)
       IS DISTINCT FROM (%(name)s::text, %(currency)s::text, %(timezone)s::text, %(account_status)s::text)

-- set_history_start --
-- Fixes the first day of history, once; a later, earlier wish moves it back.
UPDATE ad_accounts
   SET history_start = least(history_start, %(history_start)s::date), updated_at = adsync_now()
 WHERE id = %(id)s

-- set_settling --
-- Notes how long the account's days take to settle, as it was just told, and answers what to go
-- by. Longer holds at once. Shorter, also than the platform's longest at first, holds once it was
-- told for :lasting without a break, and then only as short as the longest of what was told.
UPDATE ad_accounts a
   SET settles_after_days = CASE WHEN n.confirmed THEN n.told ELSE n.held END,
       shorter_settling_days = CASE WHEN n.confirmed THEN NULL ELSE n.told END,
       shorter_settling_since = CASE WHEN n.confirmed THEN NULL ELSE coalesce(a.shorter_settling_since, adsync_now()) END
  FROM (SELECT id, coalesce(settles_after_days, %(longest)s) AS held, t.told,
               t.told >= coalesce(settles_after_days, %(longest)s)
                 OR coalesce(shorter_settling_since <= adsync_now() - %(lasting)s::interval, false) AS confirmed
          FROM ad_accounts
         CROSS JOIN LATERAL (SELECT greatest(shorter_settling_days, %(days)s) AS told) t
         WHERE id = %(id)s) n
 WHERE a.id = n.id
RETURNING a.settles_after_days

-- mark_sync_attempted --
-- A sync of the account has begun.
UPDATE ad_accounts SET last_sync_attempted_at = adsync_now() WHERE id = %(id)s

-- mark_synced --
-- A sync of the account ended complete. The first one is remembered for ever.
UPDATE ad_accounts
   SET first_synced_at = coalesce(first_synced_at, adsync_now()), last_synced_at = adsync_now(),
       last_sync_attempted_at = adsync_now(), last_sync_error = NULL,
       blocked_reason = NULL, blocked_detail = NULL, blocked_at = NULL
 WHERE id = %(id)s

-- mark_sync_failed --
-- A sync of the account failed; what it had before stays.
UPDATE ad_accounts SET last_sync_attempted_at = adsync_now(), last_sync_error = %(error)s WHERE id = %(id)s

-- set_blocked --
-- The account needs a person; remembers since when.
UPDATE ad_accounts
   SET blocked_reason = %(reason)s, blocked_detail = %(detail)s, blocked_at = coalesce(blocked_at, adsync_now()),
       last_sync_attempted_at = adsync_now(), last_sync_error = %(detail)s
 WHERE id = %(id)s

-- clear_blocked --
-- The person has acted.
UPDATE ad_accounts SET blocked_reason = NULL, blocked_detail = NULL, blocked_at = NULL WHERE id = %(id)s

-- deactivate_account --
-- Stops syncing the account; everything stored of it stays.
UPDATE ad_accounts SET is_active = false, updated_at = adsync_now() WHERE id = %(id)s
