-- What is wrong now, and who was told of it (ad_alerts).

-- problems_now --
-- Every state of the warehouse that a person should know of, a row per account and kind. An
-- account that was deactivated is nobody's worry; the changes of a blocked account are counted
-- with it. :seconds is how long a change may owe its final sync.
SELECT kind, account, name, reason, count, since, since_day, until_day
  FROM (
    SELECT 'blocked_account' AS kind, a.platform || ':' || a.platform_account_id AS account, a.name,
           a.blocked_reason AS reason,
           (SELECT count(*) FROM ad_status_change_log l
             WHERE NOT final_sync_completed AND l.ad_account_id = a.id) AS count,
           a.blocked_at AS since, NULL::date AS since_day, NULL::date AS until_day
      FROM ad_accounts a
     WHERE a.is_active AND a.blocked_reason IS NOT NULL
    UNION ALL
    SELECT 'blocked_changes', a.platform || ':' || a.platform_account_id, a.name,
           l.blocked_reason, count(*), min(l.created_at), NULL, NULL
      FROM ad_status_change_log l
      JOIN ad_accounts a ON a.id = l.ad_account_id
     WHERE NOT final_sync_completed
       AND l.blocked_reason IS NOT NULL
       AND a.is_active AND a.blocked_reason IS NULL
     GROUP BY a.id, l.blocked_reason
    UNION ALL
    SELECT 'overdue_changes', a.platform || ':' || a.platform_account_id, a.name,
           NULL, count(*), min(l.created_at), NULL, NULL
      FROM ad_status_change_log l
      JOIN ad_accounts a ON a.id = l.ad_account_id
     WHERE NOT final_sync_completed
       AND l.blocked_reason IS NULL
       AND a.is_active AND a.blocked_reason IS NULL
       AND l.created_at < adsync_now() - make_interval(secs => %(seconds)s)
     GROUP BY a.id
    UNION ALL
    -- The same days as the check residuals_explained, see check_unexplained_residuals.
    SELECT 'unexplained_residuals', a.platform || ':' || a.platform_account_id, a.name,
           NULL, count(DISTINCT d.date), NULL, min(d.date), max(d.date)
      FROM ad_account_days d
      JOIN ad_accounts a ON a.id = d.ad_account_id
     WHERE a.is_active
       AND (d.residual_spend <> 0 OR d.residual_impressions <> 0 OR d.residual_clicks <> 0
            OR d.residual_conversions <> 0 OR d.residual_conversion_value <> 0)
       AND (coalesce(d.residual_class, 'unexplained') = 'unexplained'
            OR (d.residual_class = 'moving' AND d.state = 'sealed'))
     GROUP BY a.id
  ) problems
 ORDER BY kind, since NULLS LAST, account, reason

-- open_alerts --
-- Note problems as lasting, for each channel; :problems is a JSON list of {problem, kind, facts}.
-- A problem that is known and unchanged is left alone; one that had ended goes on.
INSERT INTO ad_alerts (channel, problem, kind, facts)
SELECT channel, p.problem, p.kind, p.facts
  FROM jsonb_to_recordset(%(problems)s::jsonb) AS p(problem text, kind text, facts jsonb)
 CROSS JOIN unnest(%(channels)s::text[]) AS channel
 ORDER BY channel, p.problem
ON CONFLICT (channel, problem) WHERE closed_at IS NULL DO UPDATE
   SET facts = EXCLUDED.facts, seen_at = adsync_now(), ended_at = NULL
 WHERE ad_alerts.facts IS DISTINCT FROM EXCLUDED.facts OR ad_alerts.ended_at IS NOT NULL

-- end_alerts --
-- Of the open problems of these kinds, note as over those that are not in :problems.
UPDATE ad_alerts
   SET ended_at = adsync_now()
 WHERE closed_at IS NULL AND ended_at IS NULL
   AND kind = ANY(%(kinds)s::text[])
   AND NOT problem = ANY(%(problems)s::text[])

-- list_alerts --
-- What may still need a message, or is known to last: every row that is not closed.
SELECT id, channel, problem, kind, facts, opened_at, seen_at, told_at, ended_at, attempts, error
  FROM ad_alerts
 WHERE closed_at IS NULL
 ORDER BY id

-- mark_alerts_told --
-- A message about problems that last was taken.
UPDATE ad_alerts
   SET told_at = adsync_now(), attempts = 0, error = NULL
 WHERE id = ANY(%(ids)s::bigint[])

-- close_alerts --
-- The message that problems are over was taken. One that began again meanwhile is as good as new.
UPDATE ad_alerts
   SET closed_at = CASE WHEN ended_at IS NOT NULL THEN adsync_now() END,
       told_at = CASE WHEN ended_at IS NOT NULL THEN told_at END,
       attempts = 0, error = NULL
 WHERE id = ANY(%(ids)s::bigint[])

-- mark_alerts_untold --
-- A message was not taken: it stays due, with the reason.
UPDATE ad_alerts
   SET attempts = attempts + 1, error = %(error)s
 WHERE id = ANY(%(ids)s::bigint[])

-- lock_alerts --
-- One teller at a time; the lock ends with its connection.
SELECT pg_try_advisory_lock(hashtextextended('adsync:alerts', 0))

-- unlock_alerts --
-- Let the next teller begin.
SELECT pg_advisory_unlock(hashtextextended('adsync:alerts', 0))

-- present_time --
-- The warehouse's time: the wall clock, or the virtual one of tests and the demo.
SELECT adsync_now()
