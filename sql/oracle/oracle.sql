-- What the judge of simulated runs asks the warehouse, in plain SQL that shares nothing with the
-- queries of the product. `since` is a transaction number: only rows written from it on are asked
-- for, because nothing else can have changed.

-- reset --
-- Empties a simulation's database. The guards that forbid this are off for this session only.
SET session_replication_role = replica;
TRUNCATE ad_accounts, ad_campaigns, ad_sets, ads, ad_metrics, ad_status_change_log, ad_account_days,
         ad_entity_parent_changes, platform_tokens RESTART IDENTITY CASCADE;
SET session_replication_role = origin

-- fast_and_unsafe --
-- A simulation's server keeps nothing after a power cut.
ALTER SYSTEM SET fsync = off;
ALTER SYSTEM SET synchronous_commit = off;
ALTER SYSTEM SET full_page_writes = off;
SELECT pg_reload_conf()

-- fail --
-- What the server refuses: an open transaction is aborted, as after any error.
SELECT 1/0

-- seed_random --
-- The waits that the server draws itself, the same ones in every replay. $1 is from 0 to 1.
SELECT setseed($1)

-- plan_once --
-- Planning the same statements over and over would take longer than the small accounts.
SET plan_cache_mode = force_generic_plan

-- create_arena --
-- A simulation's own database.
CREATE DATABASE {} TEMPLATE template0

-- locks --
-- Sessions that still hold an account's lock.
SELECT count(*) FROM pg_locks
 WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- horizon --
-- The transaction number from which on everything is newer than now.
SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint

-- accounts --
-- Every account and what is promised of it.
SELECT platform_account_id, timezone, history_start, first_synced_at, blocked_reason,
       concat_ws(' ', last_sync_error, blocked_detail)
  FROM ad_accounts

-- entities --
-- Entities written since.
SELECT a.platform_account_id, e.level, e.platform_id, e.status, e.effective_status, e.platform_status,
       e.parent_id, e.campaign_id, e.unreachable_since IS NOT NULL, e.created_at
  FROM (SELECT ad_account_id, 'campaign' AS level, platform_campaign_id AS platform_id, status, effective_status,
               platform_status, NULL AS parent_id, NULL AS campaign_id, unreachable_since, created_at, xmin
          FROM ad_campaigns
         UNION ALL
        SELECT ad_account_id, 'adset', platform_ad_set_id, status, effective_status, platform_status,
               platform_campaign_id, platform_campaign_id, unreachable_since, created_at, xmin FROM ad_sets
         UNION ALL
        SELECT ad_account_id, 'ad', platform_ad_id, status, effective_status, platform_status,
               platform_ad_set_id, platform_campaign_id, unreachable_since, created_at, xmin FROM ads) e
  JOIN ad_accounts a ON a.id = e.ad_account_id
 WHERE e.xmin::text::bigint >= %(since)s

-- metrics --
-- Daily numbers written since; money and conversions in millionths, of which no fraction is lost. A row whose entity is gone has no platform id.
SELECT a.platform_account_id, m.entity_type, coalesce(c.platform_campaign_id, s.platform_ad_set_id, d.platform_ad_id),
       m.date, m.impressions, m.clicks, coalesce(m.link_clicks, 0), m.spend * 1000000, coalesce(m.reach, 0),
       m.conversions * 1000000, m.conversion_value * 1000000, m.read_started_at
  FROM ad_metrics m
  JOIN ad_accounts a ON a.id = m.ad_account_id
  LEFT JOIN ad_campaigns c ON m.entity_type = 'campaign' AND c.id = m.entity_id
  LEFT JOIN ad_sets s ON m.entity_type = 'adset' AND s.id = m.entity_id
  LEFT JOIN ads d ON m.entity_type = 'ad' AND d.id = m.entity_id
 WHERE m.xmin::text::bigint >= %(since)s

-- changes --
-- Log rows written since, in the order of the changes.
SELECT a.platform_account_id, l.id, l.entity_type, l.platform_entity_id, l.old_status, l.new_status,
       l.final_sync_completed, l.attempts, l.blocked_reason, l.source, l.created_at,
       l.metadata->>'old_own_status', l.metadata->>'old_effective_status',
       l.metadata->>'new_own_status', l.metadata->>'new_effective_status',
       (l.metadata->>'occurred_at')::timestamptz, coalesce(l.final_sync_error, ''), l.change_seq,
       l.final_sync_completed_at
  FROM ad_status_change_log l
  JOIN ad_accounts a ON a.id = l.ad_account_id
 WHERE l.xmin::text::bigint >= %(since)s
 ORDER BY l.change_seq

-- days --
-- Account days written since; money and conversions in millionths.
SELECT a.platform_account_id, d.date, d.level, d.state, d.read_started_at, d.residual_class,
       d.total_impressions, d.total_clicks, d.total_spend * 1000000, d.total_conversions * 1000000,
       d.total_conversion_value * 1000000,
       d.stored_impressions, d.stored_clicks, d.stored_spend * 1000000, d.stored_conversions * 1000000,
       d.stored_conversion_value * 1000000
  FROM ad_account_days d
  JOIN ad_accounts a ON a.id = d.ad_account_id
 WHERE d.xmin::text::bigint >= %(since)s

-- counts --
-- How many rows each table holds: none may ever become fewer.
SELECT (SELECT count(*) FROM ad_campaigns) + (SELECT count(*) FROM ad_sets) + (SELECT count(*) FROM ads),
       (SELECT count(*) FROM ad_metrics), (SELECT count(*) FROM ad_status_change_log),
       (SELECT count(*) FROM ad_account_days)

-- stored_columns --
-- The tables of a simulation's database with the columns that hold data of their own.
SELECT c.table_name, array_agg(c.column_name::text ORDER BY c.ordinal_position)
  FROM information_schema.columns c
 WHERE c.table_schema = 'public' AND c.is_generated = 'NEVER'
   AND c.table_name IN ('ad_accounts', 'ad_campaigns', 'ad_sets', 'ads', 'ad_metrics', 'ad_status_change_log',
                        'ad_account_days', 'ad_entity_parent_changes', 'platform_tokens')
 GROUP BY c.table_name
 ORDER BY c.table_name

-- save_table --
-- A table's rows, to be put back later.
COPY (SELECT {columns} FROM {table}) TO STDOUT (FORMAT binary)

-- restore_table --
-- Puts a table's rows back.
COPY {table} ({columns}) FROM STDIN (FORMAT binary)

-- guards_off --
-- For putting rows back as they were: no trigger may add to them.
SET session_replication_role = replica

-- guards_on --
-- Back to ordinary work.
SET session_replication_role = origin

-- empty_logs --
-- Takes away what the triggers, which always fire, logged about rows that were put back.
TRUNCATE ad_status_change_log, ad_entity_parent_changes
