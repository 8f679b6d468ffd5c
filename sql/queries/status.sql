-- What `adsync status` and `adsync doctor` show. All of it reads only.

-- status_of_accounts --
-- Every account in one row: its last sync, what it owes, and how far its days are settled.
-- A day counts as sealed or reconciled when all three levels are; a day without rows is open.
WITH changes AS (
  SELECT l.ad_account_id,
         count(*) AS pending,
         count(*) FILTER (WHERE l.blocked_reason IS NOT NULL) AS blocked,
         min(l.created_at) AS oldest_pending,
         max(l.attempts) AS attempts
    FROM ad_status_change_log l
   WHERE NOT final_sync_completed
   GROUP BY l.ad_account_id
), finished AS (
  -- The last week only: the whole log may be long, and this part of it has an index.
  SELECT l.ad_account_id, count(*) AS done
    FROM ad_status_change_log l
   WHERE l.final_sync_completed AND l.created_at >= (SELECT adsync_now()) - interval '7 days'
   GROUP BY l.ad_account_id
), days AS (
  SELECT ad_account_id, date, count(*) AS levels,
         count(*) FILTER (WHERE state = 'sealed') AS sealed,
         count(*) FILTER (WHERE state <> 'open') AS settled,
         bool_or(residual_spend <> 0 OR residual_impressions <> 0 OR residual_clicks <> 0
                 OR residual_conversions <> 0 OR residual_conversion_value <> 0) AS residual,
         max(abs(residual_spend)) AS residual_spend
    FROM ad_account_days
   GROUP BY ad_account_id, date
), settled AS (
  SELECT d.ad_account_id,
         count(*) FILTER (WHERE d.sealed = 3) AS sealed,
         count(*) FILTER (WHERE d.settled = 3 AND d.sealed < 3) AS reconciled,
         count(*) FILTER (WHERE d.residual) AS residual_days,
         coalesce(sum(d.residual_spend) FILTER (WHERE d.residual), 0) AS residual_spend
    FROM days d
    JOIN ad_accounts a ON a.id = d.ad_account_id
   WHERE a.history_start IS NULL OR d.date >= a.history_start
   GROUP BY d.ad_account_id
)
SELECT a.platform || ':' || a.platform_account_id AS account,
       a.name, a.currency, a.timezone, a.account_status, a.is_active,
       a.last_synced_at, a.last_sync_attempted_at, a.last_sync_error,
       a.blocked_reason, a.blocked_detail, a.blocked_at,
       coalesce(c.pending, 0) AS pending,
       coalesce(c.blocked, 0) AS blocked,
       coalesce(f.done, 0) AS done_last_week,
       c.oldest_pending,
       coalesce(c.attempts, 0) AS attempts,
       greatest(coalesce((adsync_now() AT TIME ZONE a.timezone)::date - a.history_start + 1, 0)
                - coalesce(s.sealed, 0) - coalesce(s.reconciled, 0), 0) AS days_open,
       coalesce(s.reconciled, 0) AS days_reconciled,
       coalesce(s.sealed, 0) AS days_sealed,
       coalesce(s.residual_days, 0) AS residual_days,
       coalesce(s.residual_spend, 0) AS residual_spend
  FROM ad_accounts a
  LEFT JOIN changes c ON c.ad_account_id = a.id
  LEFT JOIN finished f ON f.ad_account_id = a.id
  LEFT JOIN settled s ON s.ad_account_id = a.id
 ORDER BY a.is_active DESC, account

-- server_facts --
-- What doctor asks of the server: version, the settings that durability rests on, its clock.
SELECT current_setting('server_version_num')::integer AS version_number,
       current_setting('server_version') AS version,
       current_database() AS database,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('transaction_read_only') AS read_only,
       current_setting('max_connections')::integer AS connections_max,
       clock_timestamp() AS server_time

-- user_rights --
-- Who we are on the server, and which tables of a sync we may not write.
SELECT current_user::text AS "user",
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
       coalesce((SELECT array_agg(c.relname::text ORDER BY c.relname) FROM pg_class c
                  WHERE c.relnamespace = current_schema()::regnamespace
                    AND c.relname IN ('ad_accounts', 'ad_campaigns', 'ad_sets', 'ads', 'ad_metrics',
                                      'ad_status_change_log', 'ad_account_days')
                    AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                             AND has_table_privilege(c.oid, 'UPDATE'))), '{}') AS lacking
