-- What one account owes and hides, asked across tables by the sync services.

-- count_changes --
-- Of an account's logged changes: all, done, pending, and pending but waiting for a person.
SELECT count(*), count(*) FILTER (WHERE final_sync_completed),
       count(*) FILTER (WHERE NOT final_sync_completed),
       count(*) FILTER (WHERE NOT final_sync_completed AND blocked_reason IS NOT NULL)
  FROM ad_status_change_log
 WHERE ad_account_id = %(ad_account_id)s

-- count_pending --
-- How many changes an account owes, and how many of them wait for a person.
SELECT count(*), count(*) FILTER (WHERE blocked_reason IS NOT NULL)
  FROM ad_status_change_log
 WHERE NOT final_sync_completed AND ad_account_id = %(ad_account_id)s

-- block_account_changes --
-- The account cannot be read: its pending changes wait for a person, tried again every hour.
-- No attempt is counted, because none was made.
UPDATE ad_status_change_log
   SET blocked_reason = %(reason)s, final_sync_error = %(error)s,
       next_attempt_at = greatest(next_attempt_at, adsync_now() + interval '1 hour'),
       claim_token = NULL, claimed_at = NULL
 WHERE NOT final_sync_completed AND ad_account_id = %(ad_account_id)s

-- unblock_account_changes --
-- The account can be read again: what waited for that alone is due now.
UPDATE ad_status_change_log
   SET blocked_reason = NULL, next_attempt_at = adsync_now()
 WHERE NOT final_sync_completed AND ad_account_id = %(ad_account_id)s
   AND blocked_reason IN ('credential', 'permission', 'account', 'blocked')

-- log_missed_changes --
-- Stopped entities whose stop left no row in the log: a trigger was disabled, or a restore did
-- not run it. Their last logged status can spend; or it cannot, and yet they spent on a later
-- day, or on that very day and have another status now; or nothing was ever logged of them
-- although they spent after the account's first complete sync.
WITH spent AS MATERIALIZED (
  -- Read once, not a question per entity: the account's numbers are many.
  SELECT m.entity_id, max(m.date) AS last_day
    FROM ad_metrics m
   WHERE m.ad_account_id = %(ad_account_id)s AND m.entity_type = %(level)s AND m.spend > 0
     AND m.date >= (SELECT (f.first_synced_at AT TIME ZONE f.timezone)::date FROM ad_accounts f
                     WHERE f.id = %(ad_account_id)s)
   GROUP BY m.entity_id
), stopped AS (
  SELECT t.id, t.{platform_id} AS platform_id, t.ad_account_id, t.user_id, t.platform, t.status, t.effective_status,
         last.new_status AS last_status, (last.created_at AT TIME ZONE a.timezone)::date AS logged_day,
         (a.first_synced_at AT TIME ZONE a.timezone)::date AS first_day, spent.last_day AS spent_day
    FROM {entities} t
    JOIN ad_accounts a ON a.id = t.ad_account_id
    LEFT JOIN LATERAL (
      SELECT l.new_status, l.created_at FROM ad_status_change_log l
       WHERE l.entity_type = %(level)s AND l.entity_id = t.id
       ORDER BY l.change_seq DESC LIMIT 1) last ON true
    LEFT JOIN spent ON spent.entity_id = t.id
   WHERE t.ad_account_id = %(ad_account_id)s AND a.first_synced_at IS NOT NULL
     AND t.platform_status IS NOT NULL AND t.{platform_id} IS NOT NULL
     AND NOT (is_delivering(t.status) AND is_delivering(coalesce(t.effective_status, t.status)))
     AND NOT EXISTS (SELECT FROM ad_status_change_log l
                      WHERE NOT l.final_sync_completed AND l.ad_account_id = t.ad_account_id
                        AND l.entity_type = %(level)s AND l.entity_id = t.id)
)
INSERT INTO ad_status_change_log (entity_type, entity_id, platform_entity_id, ad_account_id, user_id, platform,
                                  old_status, new_status, final_sync_completed, source, metadata)
SELECT %(level)s, s.id, s.platform_id, s.ad_account_id, s.user_id, s.platform,
       -- What spent after it was seen stopped had been started again, unseen.
       CASE WHEN s.last_status IS NULL OR s.spent_day > s.logged_day THEN 'ACTIVE' ELSE s.last_status END,
       CASE WHEN is_delivering(s.status) THEN s.effective_status ELSE s.status END,
       false, 'safety_net', jsonb_build_object('kind', 'missed')
  FROM stopped s
 WHERE (s.last_status IS NULL AND s.spent_day > s.first_day)
    OR is_delivering(s.last_status)
    OR (s.last_status IS NOT NULL
        AND (s.spent_day > s.logged_day
             OR (s.spent_day = s.logged_day
                 AND upper(s.last_status) IS DISTINCT FROM upper(s.status)
                 AND upper(s.last_status) IS DISTINCT FROM upper(s.effective_status))))
 ORDER BY s.platform_id

-- silent_ids --
-- Entities that have no stored numbers on one of the days and could have had some: they deliver
-- now, or changed, appeared or had numbers within the weeks before.
SELECT t.{platform_id}
  FROM {entities} t
  -- One row for each day, so that counting them finds the entities that have all days.
  LEFT JOIN (SELECT m.entity_id, count(*) AS days FROM ad_metrics m
              WHERE m.ad_account_id = %(ad_account_id)s AND m.entity_type = %(level)s
                AND m.date BETWEEN %(since)s AND %(until)s AND m.date = ANY (%(days)s)
              GROUP BY m.entity_id) has ON has.entity_id = t.id
 WHERE t.ad_account_id = %(ad_account_id)s AND t.{platform_id} IS NOT NULL
   AND coalesce(has.days, 0) < cardinality(%(days)s::date[])
   AND (is_delivering(coalesce(t.effective_status, t.status))
        OR t.status_changed_at >= %(active_since)s
        OR t.created_at >= %(active_since)s
        OR t.id IN (SELECT m.entity_id FROM ad_metrics m
                     WHERE m.ad_account_id = %(ad_account_id)s AND m.entity_type = %(level)s
                       AND m.date >= %(active_since)s))
 ORDER BY t.{platform_id}
 LIMIT %(limit)s

-- silent_ids_below --
-- Of those, the ones below a campaign whose own numbers of the day are not the sum of what is
-- below it. That is every one with a row missing, once the campaigns' own days add up.
WITH own AS (
  SELECT m.date, m.entity_id AS campaign_id, m.impressions, m.clicks, m.spend, m.conversions, m.conversion_value
    FROM ad_metrics m
   WHERE m.ad_account_id = %(ad_account_id)s AND m.entity_type = 'campaign'
     AND m.date BETWEEN %(since)s AND %(until)s AND m.date = ANY (%(days)s)
), below AS (
  SELECT m.date, t.campaign_id, sum(m.impressions) AS impressions, sum(m.clicks) AS clicks, sum(m.spend) AS spend,
         sum(m.conversions) AS conversions, sum(m.conversion_value) AS conversion_value
    FROM ad_metrics m
    JOIN {entities} t ON t.id = m.entity_id
   WHERE m.ad_account_id = %(ad_account_id)s AND m.entity_type = %(level)s
     AND m.date BETWEEN %(since)s AND %(until)s AND m.date = ANY (%(days)s)
   GROUP BY m.date, t.campaign_id
), apart AS MATERIALIZED (
  SELECT o.date, o.campaign_id
    FROM own o
    LEFT JOIN below b USING (date, campaign_id)
   WHERE (o.impressions, o.clicks, o.spend, o.conversions, o.conversion_value)
         IS DISTINCT FROM (coalesce(b.impressions, 0), coalesce(b.clicks, 0), coalesce(b.spend, 0),
                           coalesce(b.conversions, 0), coalesce(b.conversion_value, 0))
)
SELECT DISTINCT t.{platform_id}
  FROM {entities} t
  JOIN apart a ON a.campaign_id = t.campaign_id
 WHERE t.ad_account_id = %(ad_account_id)s
   AND NOT EXISTS (SELECT FROM ad_metrics m
                    WHERE m.date = a.date AND m.entity_type = %(level)s AND m.entity_id = t.id
                      AND m.date BETWEEN %(since)s AND %(until)s)
 ORDER BY t.{platform_id}
 LIMIT %(limit)s

-- campaigns_add_up --
-- Whether each of the days was read, and adds up or is explained, at the level of campaigns.
SELECT count(*) = cardinality(%(days)s::date[])
  FROM ad_account_days
 WHERE ad_account_id = %(ad_account_id)s AND level = 'campaign' AND date = ANY (%(days)s) AND state <> 'open'

-- residual_days --
-- Sealed days on which an entity that nobody had seen has part of the account's total.
SELECT DISTINCT date FROM ad_account_days
 WHERE ad_account_id = %(ad_account_id)s AND date >= %(since)s
   AND state = 'sealed' AND residual_class = 'never_seen_entity'
 ORDER BY date

-- count_sealed_days --
-- Account days that are sealed at every level.
SELECT count(*) FROM (
  SELECT date FROM ad_account_days
   WHERE ad_account_id = %(ad_account_id)s
   GROUP BY date
  HAVING count(*) FILTER (WHERE state = 'sealed') = 3) AS sealed
