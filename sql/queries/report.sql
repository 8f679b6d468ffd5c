-- What the completeness report shows. All of it reads only, in one snapshot, through the views,
-- so that the page and whoever asks the views see the same. :accounts null means all accounts;
-- :now is the moment of the report, bound so that indexes over time can be used.

-- begin_report_snapshot --
-- Every question after this one sees the same moment.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY

-- report_now --
-- The moment of the report.
SELECT adsync_now()

-- report_accounts --
-- Every account over its whole history. Today counts in days_open only while it is open, but is
-- no reason to worry: oldest_open looks at days that are over.
SELECT v.ad_account_id, v.account, v.account_name, v.platform, v.currency, v.timezone, v.is_active,
       a.first_synced_at, a.last_synced_at, a.last_sync_error, a.blocked_reason,
       count(*) FILTER (WHERE v.state = 'sealed') AS days_sealed,
       count(*) FILTER (WHERE v.state = 'reconciled') AS days_reconciled,
       count(*) FILTER (WHERE v.state = 'open') AS days_open,
       count(*) FILTER (WHERE v.state = 'open' AND v.date < l.today) AS past_days_open,
       count(*) FILTER (WHERE v.overdue) AS days_overdue,
       min(v.date) FILTER (WHERE v.state = 'open' AND v.date < l.today) AS oldest_open,
       max(v.sealable_from) FILTER (WHERE v.state <> 'sealed' AND v.date < l.today) AS all_sealable_from,
       min(v.date) AS first_day, max(v.date) AS today
  FROM v_account_completeness v
  JOIN ad_accounts a ON a.id = v.ad_account_id
 CROSS JOIN LATERAL (SELECT (%(now)s::timestamptz AT TIME ZONE a.timezone)::date AS today) l
 WHERE %(accounts)s::text[] IS NULL OR v.account = ANY (%(accounts)s)
 GROUP BY v.ad_account_id, v.account, v.account_name, v.platform, v.currency, v.timezone, v.is_active,
          a.first_synced_at, a.last_synced_at, a.last_sync_error, a.blocked_reason
 ORDER BY v.is_active DESC, v.account

-- report_days --
-- The last :days account-local days of every account.
SELECT account, currency, date, state, last_read_at, sealable_from, overdue, total_spend,
       residual_spend_campaign, residual_spend_adset, residual_spend_ad, adds_up, residual_class
  FROM v_account_completeness
 WHERE date > (%(now)s::timestamptz AT TIME ZONE timezone)::date - %(days)s::integer
   AND (%(accounts)s::text[] IS NULL OR account = ANY (%(accounts)s))
 ORDER BY account, date

-- report_residuals --
-- Differences between the platform's totals and our rows over the whole history, by reason. What
-- is missing and what is too much do not cancel out.
SELECT coalesce(d.residual_class, 'not_classified') AS residual_class, d.level, a.currency,
       count(*) AS days, count(DISTINCT d.ad_account_id) AS accounts,
       sum(greatest(d.residual_spend, 0)) AS spend_missing, sum(greatest(-d.residual_spend, 0)) AS spend_too_much,
       sum(d.residual_impressions) AS impressions, sum(d.residual_clicks) AS clicks,
       sum(d.residual_conversions) AS conversions, sum(d.residual_conversion_value) AS conversion_value
  FROM ad_account_days d
  JOIN ad_accounts a ON a.id = d.ad_account_id
 WHERE a.is_active AND (a.history_start IS NULL OR d.date >= a.history_start)
   AND (d.residual_spend <> 0 OR d.residual_impressions <> 0 OR d.residual_clicks <> 0
        OR d.residual_conversions <> 0 OR d.residual_conversion_value <> 0)
   AND (%(accounts)s::text[] IS NULL OR a.platform || ':' || a.platform_account_id = ANY (%(accounts)s))
 GROUP BY 1, d.level, a.currency
 ORDER BY 1, array_position(ARRAY['campaign', 'adset', 'ad'], d.level), a.currency

-- report_pending_counts --
-- How many final syncs are owed, by account and by what they wait for.
SELECT account, waits_for, count(*) AS owed, min(observed_at) AS oldest
  FROM v_pending_final_syncs
 WHERE %(accounts)s::text[] IS NULL OR account = ANY (%(accounts)s)
 GROUP BY account, waits_for
 ORDER BY account, waits_for

-- report_pending --
-- The final syncs owed for longest.
SELECT account, level, entity_name, platform_entity_id, old_status, new_status, observed_at, pending_seconds,
       waits_for, attempts, last_error, next_attempt_at
  FROM v_pending_final_syncs
 WHERE %(accounts)s::text[] IS NULL OR account = ANY (%(accounts)s)
 ORDER BY observed_at, log_id
 LIMIT %(rows_max)s

-- report_blocked --
-- What waits for a person.
SELECT account, account_name, what, reason, since, final_syncs_waiting, detail, who_must_act, what_then
  FROM v_blocked
 WHERE %(accounts)s::text[] IS NULL OR account = ANY (%(accounts)s)
 ORDER BY since, account

-- report_change_days --
-- Status changes of those days by UTC day: how many owe a final sync, have it, or need none.
SELECT (observed_at AT TIME ZONE 'UTC')::date AS date,
       count(*) FILTER (WHERE final_sync = 'done') AS done,
       count(*) FILTER (WHERE final_sync = 'owed') AS owed,
       count(*) FILTER (WHERE final_sync = 'not_needed') AS not_needed
  FROM v_status_changes
 WHERE observed_at > %(now)s::timestamptz - make_interval(days => %(days)s)
   AND (%(accounts)s::text[] IS NULL OR account = ANY (%(accounts)s))
 GROUP BY 1
 ORDER BY 1

-- report_waiting_times --
-- How long the changes of those days took to their final sync: counts by upper bound in
-- seconds, :bounds ascending; bucket 0 is below the first bound.
SELECT width_bucket(seconds_to_final_sync::double precision, %(bounds)s::double precision[]) AS bucket, count(*) AS changes
  FROM v_status_changes
 WHERE final_sync = 'done' AND observed_at > %(now)s::timestamptz - make_interval(days => %(days)s)
   AND (%(accounts)s::text[] IS NULL OR account = ANY (%(accounts)s))
 GROUP BY 1
 ORDER BY 1

-- report_waiting_percentiles --
-- Median, 95th percentile and longest of the same, as times that really occurred.
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds_to_final_sync) AS median,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds_to_final_sync) AS p95,
       max(seconds_to_final_sync) AS longest
  FROM v_status_changes
 WHERE final_sync = 'done' AND observed_at > %(now)s::timestamptz - make_interval(days => %(days)s)
   AND (%(accounts)s::text[] IS NULL OR account = ANY (%(accounts)s))

-- report_slowest --
-- The changes of those days whose final sync took longest.
SELECT account, level, entity_name, platform_entity_id, old_status, new_status, observed_at,
       final_sync_completed_at, seconds_to_final_sync, attempts
  FROM v_status_changes
 WHERE final_sync = 'done' AND observed_at > %(now)s::timestamptz - make_interval(days => %(days)s)
   AND (%(accounts)s::text[] IS NULL OR account = ANY (%(accounts)s))
 ORDER BY seconds_to_final_sync DESC, log_id
 LIMIT %(rows_max)s
