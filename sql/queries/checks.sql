-- Questions about the health of the warehouse: asset checks, the sensor.
-- All of them read only. A finding lists at most rows_max rows; `total` counts all of them.
-- An account that was deactivated is nobody's worry and is left out.

-- check_overdue_final_syncs --
-- Changes that nothing blocks and that have owed their final sync for longer than :seconds.
SELECT count(*) OVER () AS total,
       a.platform || ':' || a.platform_account_id AS account,
       l.entity_type, l.platform_entity_id, l.old_status, l.new_status,
       l.created_at, l.attempts, l.next_attempt_at, l.final_sync_error AS error
  FROM ad_status_change_log l
  JOIN ad_accounts a ON a.id = l.ad_account_id
 WHERE NOT final_sync_completed
   AND l.blocked_reason IS NULL
   AND a.is_active AND a.blocked_reason IS NULL
   AND l.created_at < adsync_now() - make_interval(secs => %(seconds)s)
 ORDER BY l.created_at, l.change_seq
 LIMIT %(rows_max)s

-- check_pending_age --
-- How many changes are pending, and since when the oldest of those that could be done.
SELECT count(*) AS pending, count(*) FILTER (WHERE blocked) AS blocked,
       min(created_at) FILTER (WHERE NOT blocked) AS oldest,
       greatest(extract(epoch FROM adsync_now()
         - min(created_at) FILTER (WHERE NOT blocked)), 0) AS oldest_seconds
  FROM (
    SELECT l.created_at, l.blocked_reason IS NOT NULL OR a.blocked_reason IS NOT NULL AS blocked
      FROM ad_status_change_log l
      JOIN ad_accounts a ON a.id = l.ad_account_id
     WHERE NOT final_sync_completed
       AND a.is_active
  ) pending

-- check_unexplained_residuals --
-- Account days whose rows do not add up to the platform's own total, without a known reason.
-- Classes other than 'unexplained' say where the difference comes from; 'moving' means that
-- the platform was still counting, which is only acceptable while the day is open.
SELECT count(*) OVER () AS total,
       a.platform || ':' || a.platform_account_id AS account,
       d.date, d.level, d.state, coalesce(d.residual_class, 'not classified') AS class,
       d.residual_spend AS spend, d.residual_impressions AS impressions,
       d.residual_clicks AS clicks, d.residual_conversions AS conversions,
       d.residual_conversion_value AS conversion_value
  FROM ad_account_days d
  JOIN ad_accounts a ON a.id = d.ad_account_id
 WHERE a.is_active
   AND (d.residual_spend <> 0 OR d.residual_impressions <> 0 OR d.residual_clicks <> 0
        OR d.residual_conversions <> 0 OR d.residual_conversion_value <> 0)
   AND (coalesce(d.residual_class, 'unexplained') = 'unexplained'
        -- What keeps a day open, on one that is final: nothing will read it again by itself.
        OR (d.residual_class IN ('moving', 'deleted_hidden') AND d.state = 'sealed'))
 ORDER BY abs(d.residual_spend) DESC NULLS LAST, d.date, a.platform_account_id, d.level
 LIMIT %(rows_max)s

-- residuals_by_class --
-- Account days on which some level's rows are not the platform's total, by the reason known.
SELECT coalesce(d.residual_class, 'not classified') AS class, d.state, count(DISTINCT (d.ad_account_id, d.date)) AS days,
       count(DISTINCT d.ad_account_id) AS accounts, min(d.date) AS first_day, max(d.date) AS last_day
  FROM ad_account_days d
  JOIN ad_accounts a ON a.id = d.ad_account_id
 WHERE a.is_active
   AND (d.residual_spend <> 0 OR d.residual_impressions <> 0 OR d.residual_clicks <> 0
        OR d.residual_conversions <> 0 OR d.residual_conversion_value <> 0)
 GROUP BY 1, 2
 ORDER BY 1, 2

-- check_overdue_open_days --
-- Accounts with days that should be sealed by now. A day that was never read has no row, so
-- the sealed rows are counted against the days there are, three levels each. How long a day
-- takes to settle is the account's own (settles_after_days, as v_account_completeness counts
-- it); the platform's longest serves only until a sync has noted it. An account without a
-- history start was never synced, which check_stale_accounts tells. Days that the platform does
-- not report any more count like all others: they are lost, and told apart as beyond_reports with
-- the day it reports from. Days before the history's start count where a person had them read.
-- :rules is a JSON list of {platform, settles_after_days, retention_days}; :grace_days is what
-- sealing may take on top.
WITH rules AS (
  SELECT * FROM jsonb_to_recordset(%(rules)s::jsonb)
    AS r(platform text, settles_after_days integer, retention_days integer)
), due AS (
  SELECT a.id, a.platform || ':' || a.platform_account_id AS account, a.blocked_reason,
         a.last_sync_error, a.history_start AS since,
         coalesce(local.today - (r.retention_days - 1), a.history_start) AS reported_from,
         local.today - (coalesce(a.settles_after_days, r.settles_after_days) + %(grace_days)s + 1) AS until
    FROM ad_accounts a
    LEFT JOIN rules r USING (platform)
    CROSS JOIN LATERAL (SELECT (adsync_now() AT TIME ZONE a.timezone)::date AS today) local
   WHERE a.is_active AND a.history_start IS NOT NULL
     -- What a first sync brought has as long for its sealing as a day of later.
     AND (a.first_synced_at <= adsync_now() - make_interval(days => %(grace_days)s)) IS NOT FALSE
), found AS (
  SELECT due.account, due.until AS overdue_until, due.reported_from, due.blocked_reason,
         due.last_sync_error AS error,
         greatest(due.until - due.since + 1, 0) * 3 - count(d.date)
           + (SELECT count(*) FROM ad_account_days e
               WHERE e.ad_account_id = due.id AND e.state <> 'sealed'
                 AND e.date BETWEEN due.reported_from AND least(due.since - 1, due.until)) AS missing,
         greatest(least(due.until + 1, due.reported_from) - due.since, 0) * 3
           - count(d.date) FILTER (WHERE d.date < due.reported_from) AS beyond_reports,
         (SELECT min(o.date) FROM ad_account_days o
           WHERE o.ad_account_id = due.id AND o.state <> 'sealed'
             AND o.date BETWEEN least(due.since, due.reported_from) AND due.until) AS oldest_open_day
    FROM due
    LEFT JOIN ad_account_days d
      ON d.ad_account_id = due.id AND d.state = 'sealed' AND d.date BETWEEN due.since AND due.until
   GROUP BY due.id, due.account, due.since, due.until, due.reported_from, due.blocked_reason,
            due.last_sync_error
)
SELECT count(*) OVER () AS total, account, missing AS day_levels_not_sealed, oldest_open_day,
       overdue_until, nullif(beyond_reports, 0) AS beyond_reports,
       CASE WHEN beyond_reports > 0 THEN reported_from END AS reported_from, blocked_reason, error
  FROM found
 WHERE missing > 0
 ORDER BY missing DESC, account
 LIMIT %(rows_max)s

-- check_rows_left_out --
-- Entities that no sync can ask for: without a platform id, or with one that the platform could
-- not have given. :id_forms is a JSON list of {platform, level, form}, a regular expression; a
-- platform that is not in it is not installed, and nothing is said of its rows.
WITH forms AS (
  SELECT * FROM jsonb_to_recordset(%(id_forms)s::jsonb) AS r(platform text, level text, form text)
), rows_ AS (
  SELECT 'campaign' AS level, 'ad_campaigns' AS tablename, id, ad_account_id, platform_campaign_id AS platform_id, name
    FROM ad_campaigns
  UNION ALL SELECT 'adset', 'ad_sets', id, ad_account_id, platform_ad_set_id, name FROM ad_sets
  UNION ALL SELECT 'ad', 'ads', id, ad_account_id, platform_ad_id, name FROM ads
)
SELECT count(*) OVER () AS total, a.platform || ':' || a.platform_account_id AS account, r.tablename AS "table",
       r.id, r.platform_id, r.name
  FROM rows_ r
  JOIN ad_accounts a ON a.id = r.ad_account_id
  JOIN forms f ON f.platform = a.platform AND f.level = r.level
 WHERE a.is_active AND (r.platform_id ~ ('^(' || f.form || ')$')) IS NOT TRUE
 ORDER BY account, r.tablename, r.id
 LIMIT %(rows_max)s

-- check_silent_triggers --
-- Triggers that write the change log and are missing, or would not fire under replication.
SELECT count(*) OVER () AS total, wanted.tablename AS "table", wanted.triggername AS trigger,
       CASE t.tgenabled
         WHEN 'D' THEN 'disabled'
         WHEN 'O' THEN 'fires only for ordinary sessions: needs ENABLE ALWAYS'
         WHEN 'R' THEN 'fires only for replication: needs ENABLE ALWAYS'
         ELSE 'missing'
       END AS problem
  FROM (
    SELECT level.tablename, format(pattern.name, level.kind) AS triggername
      FROM (VALUES ('ad_campaigns', 'campaign'), ('ad_sets', 'adset'), ('ads', 'ad'))
             AS level(tablename, kind)
     CROSS JOIN (VALUES ('trigger_log_%%s_status_change'), ('trigger_log_%%s_first_sight'),
                        ('zzz_track_%%s_status_change')) AS pattern(name)
  ) wanted
  LEFT JOIN pg_trigger t
    ON t.tgrelid = to_regclass(wanted.tablename) AND t.tgname = wanted.triggername
 WHERE t.tgenabled IS DISTINCT FROM 'A'
 ORDER BY wanted.tablename, wanted.triggername
 LIMIT %(rows_max)s

-- check_stale_accounts --
-- Active accounts that nothing blocks and that never had a whole sync, or none for :seconds.
-- An account that was never synced is not complete, however new it is: nothing is known of it.
-- Those added within :seconds come last, so that the first row says whether all of them are new.
SELECT count(*) OVER () AS total,
       a.platform || ':' || a.platform_account_id AS account, a.name,
       a.last_synced_at, a.last_sync_attempted_at, a.last_sync_error AS error,
       CASE WHEN a.first_synced_at IS NULL AND coalesce(a.last_synced_at, a.created_at) >= since.bound
            THEN true END AS is_new
  FROM ad_accounts a
 CROSS JOIN (SELECT adsync_now() - make_interval(secs => %(seconds)s) AS bound) since
 WHERE a.is_active AND a.blocked_reason IS NULL
   AND (a.first_synced_at IS NULL OR coalesce(a.last_synced_at, a.first_synced_at) < since.bound)
 ORDER BY is_new NULLS FIRST, a.last_synced_at NULLS FIRST, account
 LIMIT %(rows_max)s

-- check_blocked_accounts --
-- What waits for a person: accounts that cannot be read, and changes that cannot be finished.
-- The owner is whom the account belongs to in the surrounding application (user_id).
SELECT count(*) OVER () AS total, account, name, what, reason, since, detail, owner
  FROM (
    SELECT a.platform || ':' || a.platform_account_id AS account, a.name, 'the account' AS what,
           a.blocked_reason AS reason, a.blocked_at AS since, a.blocked_detail AS detail, a.user_id AS owner
      FROM ad_accounts a
     WHERE a.is_active AND a.blocked_reason IS NOT NULL
    UNION ALL
    SELECT a.platform || ':' || a.platform_account_id, a.name, count(*) || ' changes',
           l.blocked_reason, min(l.created_at), max(l.final_sync_error), a.user_id
      FROM ad_status_change_log l
      JOIN ad_accounts a ON a.id = l.ad_account_id
     WHERE NOT final_sync_completed
       AND l.blocked_reason IS NOT NULL AND a.is_active
     GROUP BY a.id, l.blocked_reason
  ) blocked
 ORDER BY since, account, what
 LIMIT %(rows_max)s

-- list_locked_accounts --
-- Accounts that a living worker holds at this moment (see try_lock_account): Postgres frees the
-- lock when its holder dies, so this is true where the status of a run may not be.
SELECT a.platform || ':' || a.platform_account_id
  FROM pg_locks l
  JOIN ad_accounts a
    ON hashtextextended('adsync:account:' || a.id::text, 0)
       = (l.classid::bigint << 32 | l.objid::bigint)
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
