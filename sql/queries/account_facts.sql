-- What an account's pages in Dagster show after its sync. They read only, one account each.

-- count_account_entities --
-- Stored entities of one account, by table and own status.
SELECT 'ad_campaigns', coalesce(status, 'UNKNOWN'), count(*) FROM ad_campaigns
 WHERE ad_account_id = %(account_id)s GROUP BY 2
UNION ALL
SELECT 'ad_sets', coalesce(status, 'UNKNOWN'), count(*) FROM ad_sets
 WHERE ad_account_id = %(account_id)s GROUP BY 2
UNION ALL
SELECT 'ads', coalesce(status, 'UNKNOWN'), count(*) FROM ads
 WHERE ad_account_id = %(account_id)s GROUP BY 2

-- count_account_metrics --
-- Stored metrics rows of one account, all levels.
SELECT count(*) FROM ad_metrics WHERE ad_account_id = %(account_id)s

-- latest_days --
-- The account's latest known days, newest first: the platform's spend, the weakest state of the
-- three levels, and what no level's rows explain. A level that has no row yet counts as open.
SELECT date, coalesce(max(total_spend), 0) AS spend,
       CASE WHEN count(*) FILTER (WHERE state = 'sealed') = 3 THEN 'sealed'
            WHEN count(*) FILTER (WHERE state <> 'open') = 3 THEN 'reconciled'
            ELSE 'open' END AS state,
       coalesce(max(abs(residual_spend)), 0) AS residual,
       min(residual_class) FILTER (WHERE residual_class IS NOT NULL) AS residual_class,
       bool_or(read_started_at IS NOT NULL AND (residual_spend <> 0 OR residual_impressions <> 0 OR residual_clicks <> 0
               OR residual_conversions <> 0 OR residual_conversion_value <> 0)) IS TRUE AS apart
  FROM ad_account_days
 WHERE ad_account_id = %(account_id)s
 GROUP BY date
 ORDER BY date DESC
 LIMIT %(days_max)s

-- count_days --
-- The account's known days by the weakest state of their three levels.
SELECT state, count(*)
  FROM (SELECT CASE WHEN count(*) FILTER (WHERE state = 'sealed') = 3 THEN 'sealed'
                    WHEN count(*) FILTER (WHERE state <> 'open') = 3 THEN 'reconciled'
                    ELSE 'open' END AS state
          FROM ad_account_days WHERE ad_account_id = %(account_id)s GROUP BY date) AS days
 GROUP BY state

-- waiting_changes --
-- The changes of the account that owe a final sync, the oldest first.
SELECT l.created_at, l.entity_type, l.platform_entity_id, l.old_status, l.new_status, l.attempts,
       l.blocked_reason, l.final_sync_error
  FROM ad_status_change_log l
 WHERE NOT final_sync_completed AND l.ad_account_id = %(account_id)s
 ORDER BY l.created_at, l.change_seq
 LIMIT %(rows_max)s
