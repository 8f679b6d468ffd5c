-- ad_account_days: which days were read, whether their rows add up, and which are final.

-- day_states --
-- Per day over all three levels: the oldest of their latest complete reads (none while a level
-- was never read), whether all three are sealed, and whether all three add up or are explained.
SELECT date, CASE WHEN count(read_started_at) = 3 THEN min(read_started_at) END,
       count(*) FILTER (WHERE state = 'sealed') = 3, count(*) FILTER (WHERE state <> 'open') = 3
  FROM ad_account_days
 WHERE ad_account_id = %(ad_account_id)s AND date >= %(since)s
 GROUP BY date

-- record_read --
-- Notes a complete read of a level. A day that was reconciled is open again until its rows are
-- added up anew; a sealed one stays sealed. An older read never hides a newer one.
INSERT INTO ad_account_days AS d (ad_account_id, date, level, read_started_at, updated_at)
SELECT %(ad_account_id)s, day, %(level)s, %(read_started_at)s, adsync_now()
  FROM unnest(%(days)s::date[]) AS day
 ORDER BY day
ON CONFLICT (ad_account_id, date, level) DO UPDATE
   SET read_started_at = greatest(d.read_started_at, excluded.read_started_at),
       state = CASE WHEN d.state = 'sealed' THEN d.state ELSE 'open' END,
       updated_at = adsync_now()

-- record_totals --
-- The platform's own totals of account days, for every level. A day that the totals leave out
-- had no activity: its total is zero, and since when it is told so is noted.
INSERT INTO ad_account_days AS d (ad_account_id, date, level, total_impressions, total_clicks, total_spend,
                                  total_conversions, total_conversion_value, empty_since, updated_at)
SELECT %(ad_account_id)s, t.date, l.level, t.impressions, t.clicks, t.spend, t.conversions, t.conversion_value,
       CASE WHEN (t.impressions, t.clicks, t.spend, t.conversions, t.conversion_value) = (0, 0, 0, 0, 0)
            THEN adsync_now() END,
       adsync_now()
  FROM unnest(%(dates)s::date[], %(impressions)s::bigint[], %(clicks)s::bigint[], %(spend)s::numeric[],
              %(conversions)s::numeric[], %(conversion_value)s::numeric[])
       AS t (date, impressions, clicks, spend, conversions, conversion_value)
 CROSS JOIN (VALUES ('campaign'), ('adset'), ('ad')) AS l (level)
 ORDER BY t.date, l.level
ON CONFLICT (ad_account_id, date, level) DO UPDATE
   SET total_impressions = excluded.total_impressions, total_clicks = excluded.total_clicks,
       total_spend = excluded.total_spend, total_conversions = excluded.total_conversions,
       total_conversion_value = excluded.total_conversion_value,
       empty_since = CASE WHEN excluded.empty_since IS NOT NULL THEN coalesce(d.empty_since, excluded.empty_since) END,
       -- An explanation holds for the amounts it was given for.
       residual_class = CASE WHEN (d.total_impressions, d.total_clicks, d.total_spend, d.total_conversions,
                                   d.total_conversion_value)
                              IS NOT DISTINCT FROM
                              (excluded.total_impressions, excluded.total_clicks, excluded.total_spend,
                               excluded.total_conversions, excluded.total_conversion_value)
                             THEN d.residual_class END,
       apart_since = CASE WHEN (d.total_impressions, d.total_clicks, d.total_spend, d.total_conversions,
                                d.total_conversion_value)
                           IS NOT DISTINCT FROM
                           (excluded.total_impressions, excluded.total_clicks, excluded.total_spend,
                            excluded.total_conversions, excluded.total_conversion_value)
                          THEN d.apart_since END,
       -- Rows that added up to another total do not add up to this one.
       state = CASE WHEN d.state = 'reconciled'
                     AND (d.total_impressions, d.total_clicks, d.total_spend, d.total_conversions,
                          d.total_conversion_value)
                         IS DISTINCT FROM
                         (excluded.total_impressions, excluded.total_clicks, excluded.total_spend,
                          excluded.total_conversions, excluded.total_conversion_value)
                    THEN 'open' ELSE d.state END,
       updated_at = adsync_now()

-- reconcile_days --
-- Adds up the stored rows of a level's days and compares them with the totals. A read day whose
-- rows add up is reconciled; answers the days that do not, what is missing or too much, and
-- whether that has been just so for a while.
-- Shared credit has more decimals than are stored, so rows and total are rounded, each by itself:
-- three times two thirds are 2.000001. A sum as near to the total as so many rounded rows may be
-- is taken for the total. What has no more than two decimals was not rounded.
WITH stored AS (
  SELECT m.date, sum(m.impressions) AS impressions, sum(m.clicks) AS clicks, sum(m.spend) AS spend,
         sum(m.conversions) AS conversions, sum(m.conversion_value) AS conversion_value,
         0.000001 * count(*) FILTER (WHERE m.conversions <> round(m.conversions, 2)) AS rounded_conversions,
         0.000001 * count(*) FILTER (WHERE m.conversion_value <> round(m.conversion_value, 2)) AS rounded_value
    FROM ad_metrics m
   WHERE m.ad_account_id = %(ad_account_id)s AND m.entity_type = %(level)s
     AND m.date BETWEEN %(since)s AND %(until)s AND m.date = ANY (%(days)s)
   GROUP BY m.date
), summed AS (
  SELECT d.date, d.total_impressions, d.total_clicks, d.total_spend, d.total_conversions, d.total_conversion_value,
         coalesce(s.impressions, 0) AS impressions, coalesce(s.clicks, 0) AS clicks, coalesce(s.spend, 0) AS spend,
         CASE WHEN abs(d.total_conversions - s.conversions) <= s.rounded_conversions THEN d.total_conversions
              ELSE coalesce(s.conversions, 0) END AS conversions,
         CASE WHEN abs(d.total_conversion_value - s.conversion_value) <= s.rounded_value THEN d.total_conversion_value
              ELSE coalesce(s.conversion_value, 0) END AS conversion_value,
         greatest(s.rounded_conversions, s.rounded_value, 0) AS rounded
    FROM ad_account_days d
    LEFT JOIN stored s USING (date)
   WHERE d.ad_account_id = %(ad_account_id)s AND d.level = %(level)s AND d.date = ANY (%(days)s)
), compared AS (
  SELECT s.*,
         -- Unknown, not true, while the totals were never read.
         (s.total_impressions, s.total_clicks, s.total_spend, s.total_conversions, s.total_conversion_value)
           = (s.impressions, s.clicks, s.spend, s.conversions, s.conversion_value) AS adds_up,
         s.total_impressions >= s.impressions AND s.total_clicks >= s.clicks AND s.total_spend >= s.spend
           AND s.total_conversions >= s.conversions AND s.total_conversion_value >= s.conversion_value AS falls_short
    FROM summed s
), updated AS (
  UPDATE ad_account_days d
     SET stored_impressions = c.impressions, stored_clicks = c.clicks, stored_spend = c.spend,
         stored_conversions = c.conversions, stored_conversion_value = c.conversion_value,
         -- On a final day rows of an entity that was seen at last leave less to those never seen.
         residual_class = CASE WHEN c.adds_up IS NOT TRUE AND d.state = 'sealed' AND c.falls_short
                            AND d.residual_class = 'never_seen_entity'
                           THEN d.residual_class
                           WHEN c.adds_up IS NOT TRUE
                            AND (d.stored_impressions, d.stored_clicks, d.stored_spend, d.stored_conversions,
                                 d.stored_conversion_value)
                                IS NOT DISTINCT FROM
                                (c.impressions, c.clicks, c.spend, c.conversions, c.conversion_value)
                           THEN d.residual_class END,
         apart_since = CASE WHEN c.adds_up IS TRUE THEN NULL
                            WHEN (d.stored_impressions, d.stored_clicks, d.stored_spend, d.stored_conversions,
                                  d.stored_conversion_value)
                                 IS NOT DISTINCT FROM
                                 (c.impressions, c.clicks, c.spend, c.conversions, c.conversion_value)
                            THEN coalesce(d.apart_since, adsync_now())
                            ELSE adsync_now() END,
         state = CASE WHEN d.state = 'sealed' THEN 'sealed'
                      WHEN c.adds_up AND d.read_started_at IS NOT NULL THEN 'reconciled'
                      ELSE 'open' END,
         updated_at = adsync_now()
    FROM compared c
   WHERE d.ad_account_id = %(ad_account_id)s AND d.level = %(level)s AND d.date = c.date
  RETURNING d.date, d.residual_spend, d.residual_impressions, d.residual_clicks, d.residual_conversions,
            d.residual_conversion_value, c.adds_up, d.residual_class,
            coalesce(d.apart_since <= adsync_now() - %(lasting)s::interval, false) AS lasting, c.rounded
)
SELECT date, residual_spend, residual_impressions, residual_clicks, residual_conversions, residual_conversion_value,
       residual_class, lasting, rounded
  FROM updated
 WHERE NOT adds_up
 ORDER BY date

-- classify_day --
-- Explains a day's residual: it is then reconciled, with the explanation in the table. Another
-- explanation than before is a new finding, however long the day has been apart.
UPDATE ad_account_days
   SET apart_since = CASE WHEN residual_class IS DISTINCT FROM %(residual_class)s THEN adsync_now() ELSE apart_since END,
       residual_class = %(residual_class)s,
       state = CASE WHEN state = 'open' AND read_started_at IS NOT NULL
                     AND %(residual_class)s NOT IN ('moving', 'unexplained', 'deleted_hidden') THEN 'reconciled' ELSE state END,
       updated_at = adsync_now()
 WHERE ad_account_id = %(ad_account_id)s AND level = %(level)s AND date = ANY (%(days)s)

-- seal_days --
-- Declares days final. Only a day that was read and reconciled can be; and one of which nothing
-- was told, only when it was told for :lasting, for whoever answers nothing may be in trouble.
UPDATE ad_account_days
   SET state = 'sealed', sealed_at = %(now)s, updated_at = adsync_now()
 WHERE ad_account_id = %(ad_account_id)s AND level = %(level)s AND date = ANY (%(days)s)
   AND state = 'reconciled' AND read_started_at IS NOT NULL
   AND (empty_since IS NULL OR empty_since <= adsync_now() - %(lasting)s::interval)

-- read_days --
-- Level by level what is known of the account's days, for planning, sealing and reports.
SELECT date, level, state, read_started_at, sealed_at, residual_spend, residual_impressions, residual_clicks,
       residual_conversions, residual_conversion_value, residual_class
  FROM ad_account_days
 WHERE ad_account_id = %(ad_account_id)s AND date BETWEEN %(since)s AND %(until)s
 ORDER BY date, level
