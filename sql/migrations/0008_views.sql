-- Views for people, dashboards and dbt: stable names, exact types, every column explained.
--
-- All of them run with the rights of whoever asks (security_invoker), so that row level security
-- and grants of the tables hold. Filters on account, day and level reach the tables' indexes and
-- partitions. Joins that only bring names are outer ones over unique keys: Postgres leaves them
-- out when no name is asked for, and no fact is lost where a name is unknown.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

-- When a day may be sealed is a rule of the program (settings, or the account's own conversion
-- window). Each sync notes the rule it went by, so that SQL need not guess it.
ALTER TABLE ad_accounts ADD COLUMN IF NOT EXISTS settles_after_days integer;
COMMENT ON COLUMN ad_accounts.settles_after_days IS 'How many days after its end a day may be sealed: revision window and margin in force at the latest sync; null before the first.';

-- Facts with names, one view per level.

CREATE OR REPLACE VIEW v_metrics_daily_campaign WITH (security_invoker = true) AS
  SELECT 'campaign'::text AS level, m.date, coalesce(y.state, 'open') AS day_state,
         m.ad_account_id, a.platform || ':' || a.platform_account_id AS account, m.platform::text AS platform,
         a.name::text AS account_name, a.currency::text AS currency, m.entity_id,
         c.platform_campaign_id::text AS platform_campaign_id, c.name::text AS campaign_name,
         NULL::text AS platform_ad_set_id, NULL::text AS ad_set_name,
         NULL::text AS platform_ad_id, NULL::text AS ad_name,
         m.impressions, m.clicks, m.link_clicks, m.spend, m.conversions, m.conversion_value, m.reach, m.frequency,
         m.cpc, m.cpm, m.ctr, m.roas,
         CASE WHEN m.conversions > 0 THEN round(m.spend / m.conversions, 6) END AS cost_per_conversion,
         m.read_started_at, m.updated_at
    FROM ad_metrics m
    LEFT JOIN ad_accounts a ON a.id = m.ad_account_id
    LEFT JOIN ad_campaigns c ON c.id = m.entity_id
    LEFT JOIN ad_account_days y
      ON y.ad_account_id = m.ad_account_id AND y.date = m.date AND y.level = 'campaign'
   WHERE m.entity_type = 'campaign';

CREATE OR REPLACE VIEW v_metrics_daily_adset WITH (security_invoker = true) AS
  SELECT 'adset'::text AS level, m.date, coalesce(y.state, 'open') AS day_state,
         m.ad_account_id, a.platform || ':' || a.platform_account_id AS account, m.platform::text AS platform,
         a.name::text AS account_name, a.currency::text AS currency, m.entity_id,
         s.platform_campaign_id::text AS platform_campaign_id, c.name::text AS campaign_name,
         s.platform_ad_set_id::text AS platform_ad_set_id, s.name::text AS ad_set_name,
         NULL::text AS platform_ad_id, NULL::text AS ad_name,
         m.impressions, m.clicks, m.link_clicks, m.spend, m.conversions, m.conversion_value, m.reach, m.frequency,
         m.cpc, m.cpm, m.ctr, m.roas,
         CASE WHEN m.conversions > 0 THEN round(m.spend / m.conversions, 6) END AS cost_per_conversion,
         m.read_started_at, m.updated_at
    FROM ad_metrics m
    LEFT JOIN ad_accounts a ON a.id = m.ad_account_id
    LEFT JOIN ad_sets s ON s.id = m.entity_id
    LEFT JOIN ad_campaigns c ON c.id = s.campaign_id
    LEFT JOIN ad_account_days y
      ON y.ad_account_id = m.ad_account_id AND y.date = m.date AND y.level = 'adset'
   WHERE m.entity_type = 'adset';

CREATE OR REPLACE VIEW v_metrics_daily_ad WITH (security_invoker = true) AS
  SELECT 'ad'::text AS level, m.date, coalesce(y.state, 'open') AS day_state,
         m.ad_account_id, a.platform || ':' || a.platform_account_id AS account, m.platform::text AS platform,
         a.name::text AS account_name, a.currency::text AS currency, m.entity_id,
         d.platform_campaign_id::text AS platform_campaign_id, c.name::text AS campaign_name,
         d.platform_ad_set_id::text AS platform_ad_set_id, s.name::text AS ad_set_name,
         d.platform_ad_id::text AS platform_ad_id, d.name::text AS ad_name,
         m.impressions, m.clicks, m.link_clicks, m.spend, m.conversions, m.conversion_value, m.reach, m.frequency,
         m.cpc, m.cpm, m.ctr, m.roas,
         CASE WHEN m.conversions > 0 THEN round(m.spend / m.conversions, 6) END AS cost_per_conversion,
         m.read_started_at, m.updated_at
    FROM ad_metrics m
    LEFT JOIN ad_accounts a ON a.id = m.ad_account_id
    LEFT JOIN ads d ON d.id = m.entity_id
    LEFT JOIN ad_sets s ON s.id = d.ad_set_id
    LEFT JOIN ad_campaigns c ON c.id = d.campaign_id
    LEFT JOIN ad_account_days y
      ON y.ad_account_id = m.ad_account_id AND y.date = m.date AND y.level = 'ad'
   WHERE m.entity_type = 'ad';

-- The three levels one below the other. A filter on level leaves only that level's part.
CREATE OR REPLACE VIEW v_metrics_daily WITH (security_invoker = true) AS
  SELECT * FROM v_metrics_daily_campaign
  UNION ALL
  SELECT * FROM v_metrics_daily_adset
  UNION ALL
  SELECT * FROM v_metrics_daily_ad;

-- One row per account and account-local day from the start of its history to today, whether
-- anything was ever read of that day or not.
CREATE OR REPLACE VIEW v_account_completeness WITH (security_invoker = true) AS
  SELECT a.id AS ad_account_id, a.platform || ':' || a.platform_account_id AS account, a.platform::text AS platform,
         a.name::text AS account_name, a.currency::text AS currency, a.timezone::text AS timezone, a.is_active,
         day.date,
         CASE WHEN c.state = 'sealed' AND s.state = 'sealed' AND d.state = 'sealed' THEN 'sealed'
              WHEN c.state <> 'open' AND s.state <> 'open' AND d.state <> 'open' THEN 'reconciled'
              ELSE 'open' END AS state,
         coalesce(c.state, 'open') AS state_campaign, coalesce(s.state, 'open') AS state_adset,
         coalesce(d.state, 'open') AS state_ad,
         CASE WHEN c.read_started_at IS NOT NULL AND s.read_started_at IS NOT NULL AND d.read_started_at IS NOT NULL
              THEN least(c.read_started_at, s.read_started_at, d.read_started_at) END AS last_read_at,
         CASE WHEN c.state = 'sealed' AND s.state = 'sealed' AND d.state = 'sealed'
              THEN greatest(c.sealed_at, s.sealed_at, d.sealed_at) END AS sealed_at,
         settled.sealable_from,
         -- Two days of grace: the daily settle job gets two tries.
         NOT (c.state = 'sealed' AND s.state = 'sealed' AND d.state = 'sealed') IS TRUE
           AND local.now > settled.sealable_from + interval '48 hours' AS overdue,
         c.total_impressions, c.total_clicks, c.total_spend, c.total_conversions, c.total_conversion_value,
         c.stored_spend AS stored_spend_campaign, s.stored_spend AS stored_spend_adset,
         d.stored_spend AS stored_spend_ad,
         c.residual_spend AS residual_spend_campaign, s.residual_spend AS residual_spend_adset,
         d.residual_spend AS residual_spend_ad,
         sums.adds_up,
         CASE WHEN 'unexplained' IN (c.residual_class, s.residual_class, d.residual_class) THEN 'unexplained'
              WHEN sums.unclassified THEN 'not_classified'
              WHEN 'moving' IN (c.residual_class, s.residual_class, d.residual_class) THEN 'moving'
              WHEN 'never_seen_entity' IN (c.residual_class, s.residual_class, d.residual_class) THEN 'never_seen_entity'
              WHEN 'deleted_hidden' IN (c.residual_class, s.residual_class, d.residual_class) THEN 'deleted_hidden'
              WHEN 'no_ad_rows' IN (c.residual_class, s.residual_class, d.residual_class) THEN 'no_ad_rows'
         END AS residual_class,
         a.first_synced_at AS account_first_synced_at, a.last_synced_at AS account_last_synced_at,
         a.blocked_reason AS account_blocked_reason
    FROM ad_accounts a
   CROSS JOIN LATERAL (
     SELECT clock.now, (clock.now AT TIME ZONE a.timezone)::date AS today FROM (SELECT adsync_now() AS now) clock) local
   CROSS JOIN LATERAL (
     SELECT local.today - age AS date
       FROM generate_series(0, greatest(local.today - coalesce(a.history_start, local.today), 0)) AS age) day
   CROSS JOIN LATERAL (
     -- Hours, not days: an interval of days would depend on the session's time zone.
     SELECT ((day.date + 1)::timestamp AT TIME ZONE a.timezone)
            + make_interval(hours => 24 * a.settles_after_days) AS sealable_from) settled
    LEFT JOIN ad_account_days c ON c.ad_account_id = a.id AND c.date = day.date AND c.level = 'campaign'
    LEFT JOIN ad_account_days s ON s.ad_account_id = a.id AND s.date = day.date AND s.level = 'adset'
    LEFT JOIN ad_account_days d ON d.ad_account_id = a.id AND d.date = day.date AND d.level = 'ad'
   CROSS JOIN LATERAL (
     SELECT l.campaign_adds_up AND l.adset_adds_up AND l.ad_adds_up AS adds_up,
            (NOT l.campaign_adds_up AND c.residual_class IS NULL)
              OR (NOT l.adset_adds_up AND s.residual_class IS NULL)
              OR (NOT l.ad_adds_up AND d.residual_class IS NULL) AS unclassified
       FROM (SELECT c.residual_spend = 0 AND c.residual_impressions = 0 AND c.residual_clicks = 0
                      AND c.residual_conversions = 0 AND c.residual_conversion_value = 0 AS campaign_adds_up,
                    s.residual_spend = 0 AND s.residual_impressions = 0 AND s.residual_clicks = 0
                      AND s.residual_conversions = 0 AND s.residual_conversion_value = 0 AS adset_adds_up,
                    d.residual_spend = 0 AND d.residual_impressions = 0 AND d.residual_clicks = 0
                      AND d.residual_conversions = 0 AND d.residual_conversion_value = 0 AS ad_adds_up) l) sums;

-- What a final sync is owed for. The predicate is spelled as the partial indexes spell it.
CREATE OR REPLACE VIEW v_pending_final_syncs WITH (security_invoker = true) AS
  SELECT l.id AS log_id, l.ad_account_id, a.platform || ':' || a.platform_account_id AS account,
         l.platform::text AS platform, a.name::text AS account_name, a.is_active AS account_is_active,
         l.entity_type::text AS level, l.entity_id, l.platform_entity_id::text AS platform_entity_id,
         coalesce(c.name, s.name, d.name)::text AS entity_name,
         l.old_status::text AS old_status, l.new_status::text AS new_status,
         l.created_at AS observed_at,
         round(extract(epoch FROM clock.now - l.created_at), 3) AS pending_seconds,
         CASE WHEN NOT a.is_active THEN 'account removed'
              WHEN coalesce(a.blocked_reason, l.blocked_reason) IS NOT NULL THEN 'person'
              WHEN l.claim_token IS NOT NULL THEN 'running'
              WHEN l.next_attempt_at > clock.now THEN 'retry'
              ELSE 'due' END AS waits_for,
         l.attempts, l.final_sync_attempted_at AS last_attempt_at, l.final_sync_error AS last_error,
         l.next_attempt_at, coalesce(a.blocked_reason, l.blocked_reason) AS blocked_reason,
         l.claimed_at, l.source
    FROM ad_status_change_log l
   CROSS JOIN (SELECT adsync_now() AS now) clock
    LEFT JOIN ad_accounts a ON a.id = l.ad_account_id
    LEFT JOIN ad_campaigns c ON l.entity_type = 'campaign' AND c.id = l.entity_id
    LEFT JOIN ad_sets s ON l.entity_type = 'adset' AND s.id = l.entity_id
    LEFT JOIN ads d ON l.entity_type = 'ad' AND d.id = l.entity_id
   WHERE NOT final_sync_completed;

CREATE OR REPLACE VIEW v_status_changes WITH (security_invoker = true) AS
  SELECT l.id AS log_id, l.change_seq, l.created_at AS observed_at, l.ad_account_id,
         a.platform || ':' || a.platform_account_id AS account, l.platform::text AS platform,
         a.name::text AS account_name,
         l.entity_type::text AS level, l.entity_id, l.platform_entity_id::text AS platform_entity_id,
         coalesce(c.name, s.name, d.name)::text AS entity_name,
         l.old_status::text AS old_status, l.new_status::text AS new_status,
         l.source, l.metadata->>'kind' AS kind,
         CASE WHEN l.final_sync_completed THEN 'done' WHEN NOT l.final_sync_completed THEN 'owed'
              ELSE 'not_needed' END AS final_sync,
         l.final_sync_completed_at,
         CASE WHEN l.final_sync_completed
              THEN round(extract(epoch FROM l.final_sync_completed_at - l.created_at), 3) END AS seconds_to_final_sync,
         l.attempts, l.final_sync_error AS last_error, l.blocked_reason
    FROM ad_status_change_log l
    LEFT JOIN ad_accounts a ON a.id = l.ad_account_id
    LEFT JOIN ad_campaigns c ON l.entity_type = 'campaign' AND c.id = l.entity_id
    LEFT JOIN ad_sets s ON l.entity_type = 'adset' AND s.id = l.entity_id
    LEFT JOIN ads d ON l.entity_type = 'ad' AND d.id = l.entity_id;

-- What waits for a person: accounts that cannot be read, and changes that cannot be finished
-- although their account can. An account that was deactivated is nobody's worry.
CREATE OR REPLACE VIEW v_blocked WITH (security_invoker = true) AS
  SELECT b.ad_account_id, b.account, b.platform, b.account_name, b.what, b.reason, b.since, b.final_syncs_waiting,
         b.detail,
         CASE b.reason
           WHEN 'credential' THEN 'whoever owns the platform login: issue a new credential'
           WHEN 'permission' THEN 'an administrator of the ad account: grant the credential the right to read it'
           WHEN 'account' THEN 'an administrator of the ad account: reopen it on the platform, or stop syncing it'
           ELSE 'whoever runs adsync: read the detail'
         END AS who_must_act,
         CASE b.reason
           WHEN 'credential' THEN 'store the new credential with adsync accounts add, then run adsync sync ' || b.account
           ELSE 'run adsync sync ' || b.account
         END AS what_then
    FROM (
      SELECT a.id AS ad_account_id, a.platform || ':' || a.platform_account_id AS account, a.platform::text AS platform,
             a.name::text AS account_name, 'account' AS what, a.blocked_reason AS reason, a.blocked_at AS since,
             (SELECT count(*) FROM ad_status_change_log l
               WHERE NOT final_sync_completed AND l.ad_account_id = a.id) AS final_syncs_waiting,
             a.blocked_detail AS detail
        FROM ad_accounts a
       WHERE a.is_active AND a.blocked_reason IS NOT NULL
      UNION ALL
      SELECT a.id, a.platform || ':' || a.platform_account_id, a.platform::text, a.name::text, 'final syncs',
             l.blocked_reason, min(l.created_at), count(*), max(l.final_sync_error)
        FROM ad_status_change_log l
        JOIN ad_accounts a ON a.id = l.ad_account_id
       WHERE NOT final_sync_completed
         AND l.blocked_reason IS NOT NULL AND a.is_active AND a.blocked_reason IS NULL
       GROUP BY a.id, l.blocked_reason) b;

-- The four monitoring questions that came with the status change log, by name.

CREATE OR REPLACE VIEW v_incomplete_final_syncs WITH (security_invoker = true) AS
  SELECT entity_type::text AS entity_type, count(*) AS pending_count, max(created_at) AS oldest_pending
    FROM ad_status_change_log
   WHERE NOT final_sync_completed
     AND old_status IN ('ACTIVE', 'active') AND new_status IN ('PAUSED', 'paused', 'DELETED', 'deleted')
   GROUP BY entity_type;

CREATE OR REPLACE VIEW v_status_change_activity WITH (security_invoker = true) AS
  SELECT (created_at AT TIME ZONE 'UTC')::date AS date, entity_type::text AS entity_type,
         old_status::text AS old_status, new_status::text AS new_status, count(*) AS transitions,
         count(*) FILTER (WHERE final_sync_completed) AS completed,
         count(*) FILTER (WHERE NOT final_sync_completed) AS pending
    FROM ad_status_change_log
   WHERE created_at >= (SELECT adsync_now()) - interval '7 days'
   GROUP BY 1, entity_type, old_status, new_status;

CREATE OR REPLACE VIEW v_failed_final_syncs WITH (security_invoker = true) AS
  SELECT entity_type::text AS entity_type, platform_entity_id::text AS platform_entity_id,
         old_status::text AS old_status, new_status::text AS new_status,
         final_sync_error, final_sync_attempted_at, created_at
    FROM ad_status_change_log
   WHERE NOT final_sync_completed AND final_sync_attempted_at IS NOT NULL;

CREATE OR REPLACE VIEW v_final_sync_performance WITH (security_invoker = true) AS
  SELECT entity_type::text AS entity_type, count(*) AS total_transitions,
         avg(extract(epoch FROM final_sync_attempted_at - created_at)) AS avg_seconds_to_sync,
         count(*) FILTER (WHERE final_sync_error IS NOT NULL) AS error_count
    FROM ad_status_change_log
   WHERE final_sync_completed AND created_at >= (SELECT adsync_now()) - interval '30 days'
   GROUP BY entity_type;

-- What the views and their columns mean.

DO $$
DECLARE
  facts record;
  meaning record;
BEGIN
  FOR facts IN
    SELECT * FROM (VALUES
      ('v_metrics_daily_campaign', 'Daily numbers of campaigns with names and rates: one row per campaign and account-local day. Sums of spend are right here.'),
      ('v_metrics_daily_adset', 'Daily numbers of ad sets with names and rates: one row per ad set and account-local day. Some platforms report less money here than for campaigns; see v_account_completeness.'),
      ('v_metrics_daily_ad', 'Daily numbers of ads with names and rates: one row per ad and account-local day. Some platforms report less money here than for campaigns; see v_account_completeness.'),
      ('v_metrics_daily', 'MIXED LEVELS: each amount is in here three times, as campaign, ad set and ad. Always filter on level, or use v_metrics_daily_campaign, _adset or _ad. One row per level, entity and account-local day.'))
      AS views(viewname, words)
  LOOP
    EXECUTE format('COMMENT ON VIEW %I IS %L', facts.viewname, facts.words);
    FOR meaning IN
      SELECT * FROM (VALUES
        ('level', 'campaign, adset or ad. Never add up rows of different levels: they are the same money.'),
        ('date', 'Calendar day in the account''s time zone.'),
        ('day_state', 'open: may still be incomplete. reconciled: rows add up to the platform''s total, or the difference is explained. sealed: final.'),
        ('ad_account_id', 'The account, our id. Filter on this or on date: both are indexed.'),
        ('account', 'The account as adsync writes it, platform:platform_account_id.'),
        ('platform', 'facebook, tiktok, google_ads, or another platform that was added.'),
        ('account_name', 'The account''s present name.'),
        ('currency', 'The account''s present currency, of all amounts in this row. If it ever changed, ad_account_changes says when; older amounts are in the old one.'),
        ('entity_id', 'Our id of the campaign, ad set or ad; with level and date the key of ad_metrics.'),
        ('platform_campaign_id', 'The platform''s id of the campaign, as text.'),
        ('campaign_name', 'The campaign''s present name; null where only its id is known.'),
        ('platform_ad_set_id', 'The platform''s id of the ad set, as text; null for campaigns.'),
        ('ad_set_name', 'The ad set''s present name; null for campaigns.'),
        ('platform_ad_id', 'The platform''s id of the ad, as text; null for campaigns and ad sets.'),
        ('ad_name', 'The ad''s present name; null for campaigns and ad sets.'),
        ('impressions', 'Times shown.'),
        ('clicks', 'All clicks.'),
        ('link_clicks', 'Clicks that led to the advertiser; null where the platform does not report them.'),
        ('spend', 'Money spent, in currency, major unit.'),
        ('conversions', 'Conversions of the configured action, fractions possible.'),
        ('conversion_value', 'Value of those conversions, in currency.'),
        ('reach', 'People reached on that day; never to be summed.'),
        ('frequency', 'Times shown per person reached, as reported; never to be summed.'),
        ('cpc', 'Spend per click; null without clicks. Of several rows: sum(spend) / nullif(sum(clicks), 0), never an average of this.'),
        ('cpm', 'Spend per thousand impressions; null without impressions.'),
        ('ctr', 'Clicks per hundred impressions; null without impressions.'),
        ('roas', 'Conversion value per unit of spend; null without spend.'),
        ('cost_per_conversion', 'Spend per conversion; null without conversions.'),
        ('read_started_at', 'Start of the complete read that these numbers come from.'),
        ('updated_at', 'When the numbers last changed.')) AS meanings(columnname, words)
    LOOP
      EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', facts.viewname, meaning.columnname, meaning.words);
    END LOOP;
  END LOOP;
END $$;

COMMENT ON VIEW v_account_completeness IS 'One row per account and account-local day, from the start of its history to today, read or not. An account without any sync has one open row, for today: what is unknown is not complete.';
COMMENT ON COLUMN v_account_completeness.ad_account_id IS 'The account, our id.';
COMMENT ON COLUMN v_account_completeness.account IS 'The account as adsync writes it, platform:platform_account_id.';
COMMENT ON COLUMN v_account_completeness.platform IS 'facebook, tiktok, google_ads, or another platform that was added.';
COMMENT ON COLUMN v_account_completeness.account_name IS 'The account''s present name.';
COMMENT ON COLUMN v_account_completeness.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN v_account_completeness.timezone IS 'IANA zone in which the account''s days are cut.';
COMMENT ON COLUMN v_account_completeness.is_active IS 'Whether the account is synced. The days of one that is not stay as they are.';
COMMENT ON COLUMN v_account_completeness.date IS 'Calendar day in the account''s time zone.';
COMMENT ON COLUMN v_account_completeness.state IS 'The least settled of the three levels. open: may be incomplete, or was never read. reconciled: rows add up to the platform''s total, or the difference is explained. sealed: final.';
COMMENT ON COLUMN v_account_completeness.state_campaign IS 'State of the campaigns'' numbers.';
COMMENT ON COLUMN v_account_completeness.state_adset IS 'State of the ad sets'' numbers.';
COMMENT ON COLUMN v_account_completeness.state_ad IS 'State of the ads'' numbers.';
COMMENT ON COLUMN v_account_completeness.last_read_at IS 'Start of the oldest of the three levels'' latest complete reads; null while a level was never read.';
COMMENT ON COLUMN v_account_completeness.sealed_at IS 'When the last of the three levels was sealed; null while one is not.';
COMMENT ON COLUMN v_account_completeness.sealable_from IS 'A complete read that starts from then on may seal the day; null before the account''s first sync, which learns the rule.';
COMMENT ON COLUMN v_account_completeness.overdue IS 'Whether the day should have been sealed at least two days ago and is not; null where sealable_from is.';
COMMENT ON COLUMN v_account_completeness.total_impressions IS 'The platform''s own total of the account; null while it was never read.';
COMMENT ON COLUMN v_account_completeness.total_clicks IS 'The platform''s own total of the account.';
COMMENT ON COLUMN v_account_completeness.total_spend IS 'The platform''s own total of the account: money spent that day, each unit once.';
COMMENT ON COLUMN v_account_completeness.total_conversions IS 'The platform''s own total of the account.';
COMMENT ON COLUMN v_account_completeness.total_conversion_value IS 'The platform''s own total of the account.';
COMMENT ON COLUMN v_account_completeness.stored_spend_campaign IS 'Spend of all our campaign rows of the day; null while they were never added up.';
COMMENT ON COLUMN v_account_completeness.stored_spend_adset IS 'Spend of all our ad set rows of the day.';
COMMENT ON COLUMN v_account_completeness.stored_spend_ad IS 'Spend of all our ad rows of the day.';
COMMENT ON COLUMN v_account_completeness.residual_spend_campaign IS 'total_spend minus stored_spend_campaign. Other metrics'' residuals: ad_account_days.';
COMMENT ON COLUMN v_account_completeness.residual_spend_adset IS 'total_spend minus stored_spend_adset.';
COMMENT ON COLUMN v_account_completeness.residual_spend_ad IS 'total_spend minus stored_spend_ad.';
COMMENT ON COLUMN v_account_completeness.adds_up IS 'Whether all five totals equal the sums of our rows at all three levels; null while that is not known.';
COMMENT ON COLUMN v_account_completeness.residual_class IS 'Why they do not add up, the most worrying level''s word: unexplained, not_classified (not looked into yet), moving, never_seen_entity, deleted_hidden or no_ad_rows; null where there is no residual.';
COMMENT ON COLUMN v_account_completeness.account_first_synced_at IS 'End of the account''s first complete sync; null: never synced, nothing may be concluded from its days.';
COMMENT ON COLUMN v_account_completeness.account_last_synced_at IS 'End of the account''s latest complete sync.';
COMMENT ON COLUMN v_account_completeness.account_blocked_reason IS 'Why a person must act before the account can be read again; null when nothing blocks it.';

COMMENT ON VIEW v_pending_final_syncs IS 'Status changes that still owe a final sync, one row each, whatever they wait for.';
COMMENT ON COLUMN v_pending_final_syncs.log_id IS 'The change: ad_status_change_log.id.';
COMMENT ON COLUMN v_pending_final_syncs.ad_account_id IS 'The account, our id.';
COMMENT ON COLUMN v_pending_final_syncs.account IS 'The account as adsync writes it, platform:platform_account_id.';
COMMENT ON COLUMN v_pending_final_syncs.platform IS 'facebook, tiktok, google_ads, or another platform that was added.';
COMMENT ON COLUMN v_pending_final_syncs.account_name IS 'The account''s present name.';
COMMENT ON COLUMN v_pending_final_syncs.account_is_active IS 'Whether the account is synced; changes of one that is not stay pending.';
COMMENT ON COLUMN v_pending_final_syncs.level IS 'campaign, adset or ad.';
COMMENT ON COLUMN v_pending_final_syncs.entity_id IS 'Our id of the entity.';
COMMENT ON COLUMN v_pending_final_syncs.platform_entity_id IS 'The platform''s id of the entity, as text.';
COMMENT ON COLUMN v_pending_final_syncs.entity_name IS 'Its present name.';
COMMENT ON COLUMN v_pending_final_syncs.old_status IS 'Status before; null when it was first seen already stopped.';
COMMENT ON COLUMN v_pending_final_syncs.new_status IS 'Status after.';
COMMENT ON COLUMN v_pending_final_syncs.observed_at IS 'When the change was observed.';
COMMENT ON COLUMN v_pending_final_syncs.pending_seconds IS 'For how long the final sync has been owed.';
COMMENT ON COLUMN v_pending_final_syncs.waits_for IS 'person: see v_blocked. running: a worker holds it (or held it and died; it is then taken over). retry: a failed attempt is repeated at next_attempt_at. due: the next run takes it. account removed: nothing syncs it.';
COMMENT ON COLUMN v_pending_final_syncs.attempts IS 'Failed attempts so far. No number of them discards the change.';
COMMENT ON COLUMN v_pending_final_syncs.last_attempt_at IS 'When the latest attempt ended.';
COMMENT ON COLUMN v_pending_final_syncs.last_error IS 'Why it failed.';
COMMENT ON COLUMN v_pending_final_syncs.next_attempt_at IS 'Not to be tried before.';
COMMENT ON COLUMN v_pending_final_syncs.blocked_reason IS 'Why a person must act: the account''s reason, else the change''s own; else null.';
COMMENT ON COLUMN v_pending_final_syncs.claimed_at IS 'When the worker that holds it began.';
COMMENT ON COLUMN v_pending_final_syncs.source IS 'How the change became known; see ad_status_change_log.source.';

COMMENT ON VIEW v_status_changes IS 'Every logged status change with names and the time to its final sync. Filter on observed_at, level with entity_id, or platform_entity_id: these are indexed.';
COMMENT ON COLUMN v_status_changes.log_id IS 'The change: ad_status_change_log.id.';
COMMENT ON COLUMN v_status_changes.change_seq IS 'Order of changes. Not an order of commits: never use it as a cursor.';
COMMENT ON COLUMN v_status_changes.observed_at IS 'When the change was observed.';
COMMENT ON COLUMN v_status_changes.ad_account_id IS 'The account, our id.';
COMMENT ON COLUMN v_status_changes.account IS 'The account as adsync writes it, platform:platform_account_id.';
COMMENT ON COLUMN v_status_changes.platform IS 'facebook, tiktok, google_ads, or another platform that was added.';
COMMENT ON COLUMN v_status_changes.account_name IS 'The account''s present name.';
COMMENT ON COLUMN v_status_changes.level IS 'campaign, adset or ad.';
COMMENT ON COLUMN v_status_changes.entity_id IS 'Our id of the entity.';
COMMENT ON COLUMN v_status_changes.platform_entity_id IS 'The platform''s id of the entity, as text.';
COMMENT ON COLUMN v_status_changes.entity_name IS 'Its present name.';
COMMENT ON COLUMN v_status_changes.old_status IS 'Status before; null when it was first seen.';
COMMENT ON COLUMN v_status_changes.new_status IS 'Status after.';
COMMENT ON COLUMN v_status_changes.source IS 'How the change became known; see ad_status_change_log.source.';
COMMENT ON COLUMN v_status_changes.kind IS 'own: the entity''s own switch. effective: only what happens to it, such as by a paused parent. hint: told by the platform''s history. missed: found by the safety net.';
COMMENT ON COLUMN v_status_changes.final_sync IS 'owed, done, or not_needed.';
COMMENT ON COLUMN v_status_changes.final_sync_completed_at IS 'When it was done.';
COMMENT ON COLUMN v_status_changes.seconds_to_final_sync IS 'From the change''s observation to its final sync; null while that is not done.';
COMMENT ON COLUMN v_status_changes.attempts IS 'Failed attempts so far.';
COMMENT ON COLUMN v_status_changes.last_error IS 'Why the latest attempt failed; null after a good one.';
COMMENT ON COLUMN v_status_changes.blocked_reason IS 'Why a person must act; null when nothing blocks this change.';

COMMENT ON VIEW v_blocked IS 'What waits for a person, one row per account and reason: which account, why, since when, who must do what.';
COMMENT ON COLUMN v_blocked.ad_account_id IS 'The account, our id.';
COMMENT ON COLUMN v_blocked.account IS 'The account as adsync writes it, platform:platform_account_id.';
COMMENT ON COLUMN v_blocked.platform IS 'facebook, tiktok, google_ads, or another platform that was added.';
COMMENT ON COLUMN v_blocked.account_name IS 'The account''s present name.';
COMMENT ON COLUMN v_blocked.what IS 'account: nothing of it can be read. final syncs: the account can be read, these cannot be finished.';
COMMENT ON COLUMN v_blocked.reason IS 'credential, permission, account, or blocked.';
COMMENT ON COLUMN v_blocked.since IS 'Since when a person must act.';
COMMENT ON COLUMN v_blocked.final_syncs_waiting IS 'How many status changes cannot get their final sync because of it.';
COMMENT ON COLUMN v_blocked.detail IS 'What the platform said, in a sentence.';
COMMENT ON COLUMN v_blocked.who_must_act IS 'Who can lift it, and how.';
COMMENT ON COLUMN v_blocked.what_then IS 'What to run afterwards; the next scheduled sync does the same.';

COMMENT ON VIEW v_incomplete_final_syncs IS 'Final syncs still owed for ACTIVE to PAUSED or DELETED, per level; no rows when none is. v_pending_final_syncs has every kind of change, row by row.';
COMMENT ON COLUMN v_incomplete_final_syncs.entity_type IS 'campaign, adset or ad.';
COMMENT ON COLUMN v_incomplete_final_syncs.pending_count IS 'How many.';
COMMENT ON COLUMN v_incomplete_final_syncs.oldest_pending IS 'When the latest of them was observed. The query this view comes from takes max(created_at) under this name, and so does the view.';

COMMENT ON VIEW v_status_change_activity IS 'Status changes of the last seven days by UTC day and transition.';
COMMENT ON COLUMN v_status_change_activity.date IS 'UTC day on which they were observed.';
COMMENT ON COLUMN v_status_change_activity.entity_type IS 'campaign, adset or ad.';
COMMENT ON COLUMN v_status_change_activity.old_status IS 'Status before.';
COMMENT ON COLUMN v_status_change_activity.new_status IS 'Status after.';
COMMENT ON COLUMN v_status_change_activity.transitions IS 'How many.';
COMMENT ON COLUMN v_status_change_activity.completed IS 'Of these, final sync done.';
COMMENT ON COLUMN v_status_change_activity.pending IS 'Of these, final sync owed. The rest needs none.';

COMMENT ON VIEW v_failed_final_syncs IS 'Changes whose final sync was attempted and is still owed.';
COMMENT ON COLUMN v_failed_final_syncs.entity_type IS 'campaign, adset or ad.';
COMMENT ON COLUMN v_failed_final_syncs.platform_entity_id IS 'The platform''s id of the entity, as text.';
COMMENT ON COLUMN v_failed_final_syncs.old_status IS 'Status before.';
COMMENT ON COLUMN v_failed_final_syncs.new_status IS 'Status after.';
COMMENT ON COLUMN v_failed_final_syncs.final_sync_error IS 'Why the latest attempt failed.';
COMMENT ON COLUMN v_failed_final_syncs.final_sync_attempted_at IS 'When it ended.';
COMMENT ON COLUMN v_failed_final_syncs.created_at IS 'When the change was observed.';

COMMENT ON VIEW v_final_sync_performance IS 'Final syncs done for changes of the last thirty days, per level.';
COMMENT ON COLUMN v_final_sync_performance.entity_type IS 'campaign, adset or ad.';
COMMENT ON COLUMN v_final_sync_performance.total_transitions IS 'Changes whose final sync is done.';
COMMENT ON COLUMN v_final_sync_performance.avg_seconds_to_sync IS 'Mean seconds from observation to the end of the final sync.';
COMMENT ON COLUMN v_final_sync_performance.error_count IS 'Of these, how many carry an error. A good final sync clears it, so this is 0 unless something else writes the log.';
