-- ad_metrics: merging what reports said, and proving what they no longer say.

-- staged_extent --
-- The first and last day in the stage, after making the months that they need, and whether the
-- stage names entities that have no row yet.
WITH named AS MATERIALIZED (
  SELECT s.entity_type, s.platform_id, s.platform_campaign_id, s.platform_ad_set_id,
         min(s.date) AS since, max(s.date) AS until
    FROM pg_temp.stage_metrics s
   GROUP BY s.entity_type, s.platform_id, s.platform_campaign_id, s.platform_ad_set_id
), extent AS MATERIALIZED (
  SELECT min(n.since) AS since, max(n.until) AS until
    FROM named n
   WHERE %(level)s::text IS NULL OR n.entity_type = %(level)s
)
SELECT x.since, x.until, CASE WHEN x.since IS NOT NULL THEN ensure_metric_partitions(x.since, x.until) END,
       EXISTS (SELECT FROM named n CROSS JOIN LATERAL
                 (VALUES (CASE WHEN n.entity_type = 'campaign' THEN n.platform_id END), (n.platform_campaign_id)) AS c (id)
                WHERE c.id IS NOT NULL
                  AND NOT EXISTS (SELECT FROM ad_campaigns t
                                   WHERE t.ad_account_id = %(ad_account_id)s AND t.platform_campaign_id = c.id))
       OR EXISTS (SELECT FROM named n CROSS JOIN LATERAL
                    (VALUES (CASE WHEN n.entity_type = 'adset' THEN n.platform_id END), (n.platform_ad_set_id)) AS g (id)
                   WHERE g.id IS NOT NULL
                     AND NOT EXISTS (SELECT FROM ad_sets t
                                      WHERE t.ad_account_id = %(ad_account_id)s AND t.platform_ad_set_id = g.id))
       OR EXISTS (SELECT FROM named n
                   WHERE n.entity_type = 'ad'
                     AND NOT EXISTS (SELECT FROM ads t
                                      WHERE t.ad_account_id = %(ad_account_id)s AND t.platform_ad_id = n.platform_id))
  FROM extent x

-- ensure_partitions --
-- Makes the months that a range of days needs.
SELECT ensure_metric_partitions(%(since)s, %(until)s)

-- merge_metrics --
-- Stage into ad_metrics; answers staged, new, written and refused rows. Of several staged rows of
-- one entity and day the last wins. Unchanged rows are not written. A row written by a read that
-- started later stays, and so does every row of a day of which a later complete read is recorded:
-- those that differ are refused.
-- Stored rows are looked up one by one through the key (LATERAL): right after a bulk insert the
-- planner takes a table for empty, and joins it in quadratic time.
WITH staged AS MATERIALIZED (
  SELECT DISTINCT ON (s.entity_type, s.platform_id, s.date) s.*
    FROM pg_temp.stage_metrics s
   WHERE %(level)s::text IS NULL OR s.entity_type = %(level)s
   ORDER BY s.entity_type, s.platform_id, s.date, s.position DESC
), entities AS (
  SELECT 'campaign' AS entity_type, c.platform_campaign_id AS platform_id, c.id
    FROM ad_campaigns c WHERE c.ad_account_id = %(ad_account_id)s
  UNION ALL
  SELECT 'adset', g.platform_ad_set_id, g.id FROM ad_sets g WHERE g.ad_account_id = %(ad_account_id)s
  UNION ALL
  SELECT 'ad', d.platform_ad_id, d.id FROM ads d WHERE d.ad_account_id = %(ad_account_id)s
), differing AS MATERIALIZED (
  SELECT s.*, e.id AS entity_id, t.entity_id IS NULL AS is_new,
         greatest(t.read_started_at, y.read_started_at) AS recorded_at
    FROM staged s
    -- Every staged entity has a row by now; if one had none, the insert fails and nothing is lost.
    LEFT JOIN entities e ON e.entity_type = s.entity_type AND e.platform_id = s.platform_id
    LEFT JOIN LATERAL (
      SELECT m.entity_id, m.impressions, m.clicks, m.link_clicks, m.spend, m.reach, m.frequency, m.conversions,
             m.conversion_value, m.extra, m.read_started_at
        FROM ad_metrics m
       WHERE m.date = s.date AND m.entity_type = s.entity_type AND m.entity_id = e.id
         AND m.date BETWEEN %(since)s AND %(until)s
      OFFSET 0) t ON true
    LEFT JOIN ad_account_days y
      ON y.ad_account_id = %(ad_account_id)s AND y.date = s.date AND y.level = s.entity_type
   WHERE t.entity_id IS NULL
      OR (t.impressions, t.clicks, t.link_clicks, t.spend, t.reach, t.frequency, t.conversions,
          t.conversion_value, t.extra)
         IS DISTINCT FROM
         (s.impressions, s.clicks, s.link_clicks, s.spend, s.reach, s.frequency, s.conversions,
          s.conversion_value, s.extra)
), proposed AS (
  SELECT * FROM differing WHERE recorded_at IS NULL OR recorded_at <= %(read_started_at)s
), merged AS (
  INSERT INTO ad_metrics AS t (
    date, entity_type, entity_id, ad_account_id, platform, impressions, clicks, link_clicks, spend, reach,
    frequency, conversions, conversion_value, extra, read_started_at, created_at, updated_at)
  SELECT p.date, p.entity_type, p.entity_id, a.id, a.platform, p.impressions, p.clicks, p.link_clicks, p.spend,
         p.reach, p.frequency, p.conversions, p.conversion_value, p.extra, %(read_started_at)s, n.now, n.now
    FROM proposed p
   CROSS JOIN (SELECT id, platform FROM ad_accounts WHERE id = %(ad_account_id)s) a
   CROSS JOIN (SELECT adsync_now() AS now OFFSET 0) n
   ORDER BY p.date, p.entity_type, p.entity_id
  ON CONFLICT (date, entity_type, entity_id) DO UPDATE
     SET ad_account_id = excluded.ad_account_id, platform = excluded.platform,
         impressions = excluded.impressions, clicks = excluded.clicks, link_clicks = excluded.link_clicks,
         spend = excluded.spend, reach = excluded.reach, frequency = excluded.frequency,
         conversions = excluded.conversions, conversion_value = excluded.conversion_value, extra = excluded.extra,
         read_started_at = excluded.read_started_at, updated_at = excluded.updated_at
   WHERE (t.impressions, t.clicks, t.link_clicks, t.spend, t.reach, t.frequency, t.conversions, t.conversion_value,
          t.extra)
         IS DISTINCT FROM
         (excluded.impressions, excluded.clicks, excluded.link_clicks, excluded.spend, excluded.reach,
          excluded.frequency, excluded.conversions, excluded.conversion_value, excluded.extra)
     AND (t.read_started_at IS NULL OR t.read_started_at <= excluded.read_started_at)
  RETURNING 1
)
SELECT (SELECT count(*) FROM staged), (SELECT count(*) FROM proposed WHERE is_new), (SELECT count(*) FROM merged),
       (SELECT count(*) FROM differing) - (SELECT count(*) FROM merged)

-- absent_rows --
-- Stored numbers of the given days that the stage, a complete read of the level or of the given
-- entities, does not have.
-- EXCEPT, because it is never quadratic, whatever the planner believes.
(SELECT m.date, e.{platform_id}
   FROM ad_metrics m
   JOIN {entities} e ON e.id = m.entity_id
  WHERE m.ad_account_id = %(ad_account_id)s AND m.entity_type = %(level)s
    AND m.date BETWEEN %(since)s AND %(until)s AND m.date = ANY (%(days)s) AND e.{platform_id} IS NOT NULL
    AND (%(platform_ids)s::text[] IS NULL OR e.{platform_id} = ANY (%(platform_ids)s))
    AND (m.impressions <> 0 OR m.clicks <> 0 OR m.spend <> 0 OR m.conversions <> 0 OR m.conversion_value <> 0
         OR coalesce(m.link_clicks, 0) <> 0 OR coalesce(m.reach, 0) <> 0))
EXCEPT
SELECT s.date, s.platform_id FROM pg_temp.stage_metrics s WHERE s.entity_type = %(level)s
 ORDER BY 1, 2

-- zero_rows --
-- Sets rows to zero whose absence a complete read has proven; unknown stays unknown. A row
-- written by a read that started later stays.
UPDATE ad_metrics m
   SET impressions = 0, clicks = 0, spend = 0, conversions = 0, conversion_value = 0,
       link_clicks = CASE WHEN m.link_clicks IS NOT NULL THEN 0 END, reach = CASE WHEN m.reach IS NOT NULL THEN 0 END,
       frequency = NULL, extra = NULL, read_started_at = %(read_started_at)s, updated_at = adsync_now()
  FROM unnest(%(platform_ids)s::text[], %(dates)s::date[]) AS z (platform_id, date)
  JOIN {entities} e ON e.ad_account_id = %(ad_account_id)s AND e.{platform_id} = z.platform_id
 WHERE m.entity_type = %(level)s AND m.entity_id = e.id AND m.date = z.date
   AND m.date BETWEEN %(since)s AND %(until)s
   AND (m.read_started_at IS NULL OR m.read_started_at <= %(read_started_at)s)
