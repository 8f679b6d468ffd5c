-- Reading what is stored, for people and programs outside: exports, the demo's comparison.

-- metric_rows --
-- Stored metric rows of one account and level between two account-local days, by platform id.
SELECT coalesce(c.platform_campaign_id, s.platform_ad_set_id, a.platform_ad_id), m.date,
       m.impressions, m.clicks, m.spend, m.conversions, m.conversion_value
FROM ad_metrics m
LEFT JOIN ad_campaigns c ON m.entity_type = 'campaign' AND c.id = m.entity_id
LEFT JOIN ad_sets s ON m.entity_type = 'adset' AND s.id = m.entity_id
LEFT JOIN ads a ON m.entity_type = 'ad' AND a.id = m.entity_id
WHERE m.ad_account_id = %(ad_account_id)s
  AND m.entity_type = %(entity_type)s
  AND m.date BETWEEN %(since)s AND %(until)s
ORDER BY m.date, 1

-- export_metrics --
-- The facts of one level between two account-local days, of some accounts or (null) all, in the
-- order that lets readers of the file skip what they do not need.
SELECT level, date, day_state, ad_account_id::text AS ad_account_id, account, platform, account_name, currency,
       entity_id::text AS entity_id, platform_campaign_id, campaign_name, platform_ad_set_id, ad_set_name,
       platform_ad_id, ad_name, impressions, clicks, link_clicks, spend, conversions, conversion_value, reach,
       round(frequency, 6) AS frequency, cpc, cpm, ctr, roas, cost_per_conversion, read_started_at, updated_at
  FROM {facts} v
 WHERE date BETWEEN %(since)s AND %(until)s
   AND (%(ad_account_ids)s::uuid[] IS NULL OR ad_account_id = ANY (%(ad_account_ids)s))
 ORDER BY date, v.ad_account_id, v.entity_id

-- export_days --
-- What is known of every account day in the range, also of those without any row.
SELECT date, state, ad_account_id::text AS ad_account_id, account, platform, account_name, currency, timezone,
       is_active, state_campaign, state_adset, state_ad, last_read_at, sealed_at, sealable_from, overdue,
       total_impressions, total_clicks, total_spend, total_conversions, total_conversion_value,
       round(stored_spend_campaign, 6) AS stored_spend_campaign, round(stored_spend_adset, 6) AS stored_spend_adset,
       round(stored_spend_ad, 6) AS stored_spend_ad, round(residual_spend_campaign, 6) AS residual_spend_campaign,
       round(residual_spend_adset, 6) AS residual_spend_adset, round(residual_spend_ad, 6) AS residual_spend_ad,
       adds_up, residual_class, account_first_synced_at, account_last_synced_at, account_blocked_reason
  FROM v_account_completeness
 WHERE date BETWEEN %(since)s AND %(until)s
   AND (%(ad_account_ids)s::uuid[] IS NULL OR ad_account_id = ANY (%(ad_account_ids)s))
 ORDER BY date, account

-- export_day_states --
-- How many account days of the range are sealed, reconciled and open. Days before an account's
-- history are in none of these, and have no rows either.
SELECT count(*) FILTER (WHERE state = 'sealed') AS sealed, count(*) FILTER (WHERE state = 'reconciled') AS reconciled,
       count(*) FILTER (WHERE state = 'open') AS open
  FROM v_account_completeness
 WHERE date BETWEEN %(since)s AND %(until)s
   AND (%(ad_account_ids)s::uuid[] IS NULL OR ad_account_id = ANY (%(ad_account_ids)s))
