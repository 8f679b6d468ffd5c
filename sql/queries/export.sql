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
