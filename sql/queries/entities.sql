-- ad_campaigns, ad_sets and ads: merging what a read saw, and asking what is known.
--
-- A merge reads each staged entity once (of several, the one the platform changed last), leaves
-- unchanged rows untouched, proposes the others in the order of their key, so that two merges
-- never deadlock, and gives way to a row that a later read wrote. Tracking columns are never in
-- a SET list: triggers keep them. A platform_updated_at that runs backwards does not stop a
-- merge: a wrong status is put right by the next read, a refused one would be lost.

-- merge_campaigns --
-- Stage into ad_campaigns; answers staged, new, written and refused rows.
WITH staged AS MATERIALIZED (
  SELECT DISTINCT ON (s.platform_id) s.*
    FROM pg_temp.stage_campaigns s
   ORDER BY s.platform_id, s.platform_updated_at DESC NULLS LAST, s.position DESC
), proposed AS MATERIALIZED (
  SELECT s.*, t.id IS NULL AS is_new
    FROM staged s
    LEFT JOIN ad_campaigns t ON t.ad_account_id = %(ad_account_id)s AND t.platform_campaign_id = s.platform_id
   WHERE t.id IS NULL
      OR (t.name, t.status, t.platform_status, t.effective_status, t.platform_created_at, t.platform_updated_at,
          t.extra, t.unreachable_since)
         IS DISTINCT FROM
         (s.name, s.status, s.platform_status, s.effective_status, s.platform_created_at, s.platform_updated_at,
          s.extra, NULL::timestamptz)
), merged AS (
  INSERT INTO ad_campaigns AS t (
    ad_account_id, user_id, platform, platform_campaign_id, name, status, platform_status, effective_status,
    platform_created_at, platform_updated_at, extra, read_started_at, created_at, updated_at)
  SELECT a.id, a.user_id, a.platform, p.platform_id, p.name, p.status, p.platform_status, p.effective_status,
         p.platform_created_at, p.platform_updated_at, p.extra, %(read_started_at)s, adsync_now(), adsync_now()
    FROM proposed p JOIN ad_accounts a ON a.id = %(ad_account_id)s
   ORDER BY p.platform_id
  ON CONFLICT (ad_account_id, platform_campaign_id) DO UPDATE
     SET name = excluded.name, status = excluded.status, platform_status = excluded.platform_status,
         effective_status = excluded.effective_status, platform_created_at = excluded.platform_created_at,
         platform_updated_at = excluded.platform_updated_at, extra = excluded.extra,
         read_started_at = excluded.read_started_at, unreachable_since = NULL, updated_at = adsync_now()
   WHERE (t.name, t.status, t.platform_status, t.effective_status, t.platform_created_at, t.platform_updated_at,
          t.extra, t.unreachable_since)
         IS DISTINCT FROM
         (excluded.name, excluded.status, excluded.platform_status, excluded.effective_status,
          excluded.platform_created_at, excluded.platform_updated_at, excluded.extra, NULL::timestamptz)
     AND (t.read_started_at IS NULL OR t.read_started_at <= excluded.read_started_at)
  RETURNING 1
)
SELECT (SELECT count(*) FROM staged), (SELECT count(*) FROM proposed WHERE is_new), (SELECT count(*) FROM merged),
       (SELECT count(*) FROM proposed) - (SELECT count(*) FROM merged)

-- merge_ad_sets --
-- Stage into ad_sets, linked to the campaigns that are known; answers as merge_campaigns.
WITH staged AS MATERIALIZED (
  SELECT DISTINCT ON (s.platform_id) s.*
    FROM pg_temp.stage_ad_sets s
   ORDER BY s.platform_id, s.platform_updated_at DESC NULLS LAST, s.position DESC
), linked AS (
  SELECT s.*, c.id AS campaign_id
    FROM staged s
    LEFT JOIN ad_campaigns c
      ON c.ad_account_id = %(ad_account_id)s AND c.platform_campaign_id = s.platform_campaign_id
), proposed AS MATERIALIZED (
  SELECT s.*, t.id IS NULL AS is_new
    FROM linked s
    LEFT JOIN ad_sets t ON t.ad_account_id = %(ad_account_id)s AND t.platform_ad_set_id = s.platform_id
   WHERE t.id IS NULL
      OR (t.name, t.status, t.platform_status, t.effective_status, t.platform_created_at, t.platform_updated_at,
          t.extra, t.unreachable_since, t.platform_campaign_id, t.campaign_id)
         IS DISTINCT FROM
         (s.name, s.status, s.platform_status, s.effective_status, s.platform_created_at, s.platform_updated_at,
          s.extra, NULL::timestamptz, s.platform_campaign_id, s.campaign_id)
), merged AS (
  INSERT INTO ad_sets AS t (
    ad_account_id, user_id, platform, platform_ad_set_id, platform_campaign_id, campaign_id, name, status,
    platform_status, effective_status, platform_created_at, platform_updated_at, extra, read_started_at,
    created_at, updated_at)
  SELECT a.id, a.user_id, a.platform, p.platform_id, p.platform_campaign_id, p.campaign_id, p.name, p.status,
         p.platform_status, p.effective_status, p.platform_created_at, p.platform_updated_at, p.extra,
         %(read_started_at)s, adsync_now(), adsync_now()
    FROM proposed p JOIN ad_accounts a ON a.id = %(ad_account_id)s
   ORDER BY p.platform_id
  ON CONFLICT (ad_account_id, platform_ad_set_id) DO UPDATE
     SET name = excluded.name, status = excluded.status, platform_status = excluded.platform_status,
         effective_status = excluded.effective_status, platform_created_at = excluded.platform_created_at,
         platform_updated_at = excluded.platform_updated_at, extra = excluded.extra,
         platform_campaign_id = excluded.platform_campaign_id, campaign_id = excluded.campaign_id,
         read_started_at = excluded.read_started_at, unreachable_since = NULL, updated_at = adsync_now()
   WHERE (t.name, t.status, t.platform_status, t.effective_status, t.platform_created_at, t.platform_updated_at,
          t.extra, t.unreachable_since, t.platform_campaign_id, t.campaign_id)
         IS DISTINCT FROM
         (excluded.name, excluded.status, excluded.platform_status, excluded.effective_status,
          excluded.platform_created_at, excluded.platform_updated_at, excluded.extra, NULL::timestamptz,
          excluded.platform_campaign_id, excluded.campaign_id)
     AND (t.read_started_at IS NULL OR t.read_started_at <= excluded.read_started_at)
  RETURNING 1
)
SELECT (SELECT count(*) FROM staged), (SELECT count(*) FROM proposed WHERE is_new), (SELECT count(*) FROM merged),
       (SELECT count(*) FROM proposed) - (SELECT count(*) FROM merged)

-- merge_ads --
-- Stage into ads, linked to the ad sets and campaigns that are known; answers as merge_campaigns.
WITH staged AS MATERIALIZED (
  SELECT DISTINCT ON (s.platform_id) s.*
    FROM pg_temp.stage_ads s
   ORDER BY s.platform_id, s.platform_updated_at DESC NULLS LAST, s.position DESC
), linked AS (
  SELECT s.*, g.id AS ad_set_id, c.id AS campaign_id
    FROM staged s
    LEFT JOIN ad_sets g ON g.ad_account_id = %(ad_account_id)s AND g.platform_ad_set_id = s.platform_ad_set_id
    LEFT JOIN ad_campaigns c
      ON c.ad_account_id = %(ad_account_id)s AND c.platform_campaign_id = s.platform_campaign_id
), proposed AS MATERIALIZED (
  SELECT s.*, t.id IS NULL AS is_new
    FROM linked s
    LEFT JOIN ads t ON t.ad_account_id = %(ad_account_id)s AND t.platform_ad_id = s.platform_id
   WHERE t.id IS NULL
      OR (t.name, t.status, t.platform_status, t.effective_status, t.platform_created_at, t.platform_updated_at,
          t.extra, t.unreachable_since, t.platform_ad_set_id, t.ad_set_id, t.platform_campaign_id, t.campaign_id)
         IS DISTINCT FROM
         (s.name, s.status, s.platform_status, s.effective_status, s.platform_created_at, s.platform_updated_at,
          s.extra, NULL::timestamptz, s.platform_ad_set_id, s.ad_set_id, s.platform_campaign_id, s.campaign_id)
), merged AS (
  INSERT INTO ads AS t (
    ad_account_id, user_id, platform, platform_ad_id, platform_ad_set_id, ad_set_id, platform_campaign_id,
    campaign_id, name, status, platform_status, effective_status, platform_created_at, platform_updated_at,
    extra, read_started_at, created_at, updated_at)
  SELECT a.id, a.user_id, a.platform, p.platform_id, p.platform_ad_set_id, p.ad_set_id, p.platform_campaign_id,
         p.campaign_id, p.name, p.status, p.platform_status, p.effective_status, p.platform_created_at,
         p.platform_updated_at, p.extra, %(read_started_at)s, adsync_now(), adsync_now()
    FROM proposed p JOIN ad_accounts a ON a.id = %(ad_account_id)s
   ORDER BY p.platform_id
  ON CONFLICT (ad_account_id, platform_ad_id) DO UPDATE
     SET name = excluded.name, status = excluded.status, platform_status = excluded.platform_status,
         effective_status = excluded.effective_status, platform_created_at = excluded.platform_created_at,
         platform_updated_at = excluded.platform_updated_at, extra = excluded.extra,
         platform_ad_set_id = excluded.platform_ad_set_id, ad_set_id = excluded.ad_set_id,
         platform_campaign_id = excluded.platform_campaign_id, campaign_id = excluded.campaign_id,
         read_started_at = excluded.read_started_at, unreachable_since = NULL, updated_at = adsync_now()
   WHERE (t.name, t.status, t.platform_status, t.effective_status, t.platform_created_at, t.platform_updated_at,
          t.extra, t.unreachable_since, t.platform_ad_set_id, t.ad_set_id, t.platform_campaign_id, t.campaign_id)
         IS DISTINCT FROM
         (excluded.name, excluded.status, excluded.platform_status, excluded.effective_status,
          excluded.platform_created_at, excluded.platform_updated_at, excluded.extra, NULL::timestamptz,
          excluded.platform_ad_set_id, excluded.ad_set_id, excluded.platform_campaign_id, excluded.campaign_id)
     AND (t.read_started_at IS NULL OR t.read_started_at <= excluded.read_started_at)
  RETURNING 1
)
SELECT (SELECT count(*) FROM staged), (SELECT count(*) FROM proposed WHERE is_new), (SELECT count(*) FROM merged),
       (SELECT count(*) FROM proposed) - (SELECT count(*) FROM merged)

-- known_ids --
-- Every platform id of a level that the account ever had. A row without one was never there.
SELECT {platform_id} FROM {entities}
 WHERE ad_account_id = %(ad_account_id)s AND {platform_id} IS NOT NULL
 ORDER BY {platform_id}

-- absent_ids --
-- Known, not deleted, and not in the stage of a complete listing: to be looked up by id before
-- anything is concluded. EXCEPT, because it is never quadratic, whatever the planner believes.
SELECT t.{platform_id} FROM {entities} t
 WHERE t.ad_account_id = %(ad_account_id)s AND t.{platform_id} IS NOT NULL
   -- A row from before may have no status at all: that is not a deleted one.
   AND t.status IS DISTINCT FROM 'DELETED'
   -- Under a deleted parent nothing is listed any more; the lookup said so once.
   AND t.effective_status IS DISTINCT FROM 'DELETED'
EXCEPT
SELECT s.platform_id FROM pg_temp.{stage} s
 ORDER BY 1

-- mark_unreachable --
-- The platform neither lists these nor answers for them by id. Not a status: nothing else changes.
UPDATE {entities} t
   SET unreachable_since = adsync_now(), updated_at = adsync_now()
 WHERE t.ad_account_id = %(ad_account_id)s AND t.{platform_id} = ANY (%(ids)s) AND t.unreachable_since IS NULL

-- ensure_campaign_stubs --
-- An entity row for every campaign that staged numbers name and nobody has seen.
INSERT INTO ad_campaigns (ad_account_id, user_id, platform, platform_campaign_id, name, status, effective_status,
                          created_at, updated_at)
SELECT a.id, a.user_id, a.platform, s.platform_id, s.platform_id, 'UNKNOWN', 'UNKNOWN', adsync_now(), adsync_now()
  FROM (SELECT platform_id FROM pg_temp.stage_metrics WHERE entity_type = 'campaign'
         UNION
        SELECT platform_campaign_id FROM pg_temp.stage_metrics WHERE platform_campaign_id IS NOT NULL) s
  JOIN ad_accounts a ON a.id = %(ad_account_id)s
 WHERE NOT EXISTS (SELECT FROM ad_campaigns t WHERE t.ad_account_id = a.id AND t.platform_campaign_id = s.platform_id)
 ORDER BY s.platform_id
ON CONFLICT (ad_account_id, platform_campaign_id) DO NOTHING

-- ensure_ad_set_stubs --
-- An entity row for every ad set that staged numbers name and nobody has seen.
INSERT INTO ad_sets (ad_account_id, user_id, platform, platform_ad_set_id, platform_campaign_id, campaign_id, name,
                     status, effective_status, created_at, updated_at)
SELECT a.id, a.user_id, a.platform, s.platform_id, s.platform_campaign_id, c.id, s.platform_id,
       'UNKNOWN', 'UNKNOWN', adsync_now(), adsync_now()
  FROM (SELECT DISTINCT ON (platform_id) platform_id, platform_campaign_id
          FROM (SELECT platform_id, platform_campaign_id FROM pg_temp.stage_metrics WHERE entity_type = 'adset'
                 UNION ALL
                SELECT platform_ad_set_id, platform_campaign_id FROM pg_temp.stage_metrics
                 WHERE platform_ad_set_id IS NOT NULL) named
         ORDER BY platform_id, platform_campaign_id NULLS LAST) s
  JOIN ad_accounts a ON a.id = %(ad_account_id)s
  LEFT JOIN ad_campaigns c ON c.ad_account_id = a.id AND c.platform_campaign_id = s.platform_campaign_id
 WHERE NOT EXISTS (SELECT FROM ad_sets t WHERE t.ad_account_id = a.id AND t.platform_ad_set_id = s.platform_id)
 ORDER BY s.platform_id
ON CONFLICT (ad_account_id, platform_ad_set_id) DO NOTHING

-- ensure_ad_stubs --
-- An entity row for every ad that staged numbers name and nobody has seen.
INSERT INTO ads (ad_account_id, user_id, platform, platform_ad_id, platform_ad_set_id, ad_set_id,
                 platform_campaign_id, campaign_id, name, status, effective_status, created_at, updated_at)
SELECT a.id, a.user_id, a.platform, s.platform_id, s.platform_ad_set_id, g.id, s.platform_campaign_id, c.id,
       s.platform_id, 'UNKNOWN', 'UNKNOWN', adsync_now(), adsync_now()
  FROM (SELECT DISTINCT ON (platform_id) platform_id, platform_ad_set_id, platform_campaign_id
          FROM pg_temp.stage_metrics WHERE entity_type = 'ad'
         ORDER BY platform_id, platform_ad_set_id NULLS LAST) s
  JOIN ad_accounts a ON a.id = %(ad_account_id)s
  LEFT JOIN ad_sets g ON g.ad_account_id = a.id AND g.platform_ad_set_id = s.platform_ad_set_id
  LEFT JOIN ad_campaigns c ON c.ad_account_id = a.id AND c.platform_campaign_id = s.platform_campaign_id
 WHERE NOT EXISTS (SELECT FROM ads t WHERE t.ad_account_id = a.id AND t.platform_ad_id = s.platform_id)
 ORDER BY s.platform_id
ON CONFLICT (ad_account_id, platform_ad_id) DO NOTHING

-- descendants --
-- An entity and everything below it, by the platform's own ids, parents first. What has no such id
-- was never on the platform, and there is nothing to read of it. Of each, whether it was seen
-- deleted before `gone_before`. A row whose status nobody saw change, as in an adopted database,
-- was deleted at the latest when it was last written.
SELECT level, id, platform_id, depth, is_gone FROM (
SELECT 'campaign' AS level, c.id, c.platform_campaign_id AS platform_id, 1 AS depth,
       coalesce((c.status = 'DELETED' OR c.effective_status = 'DELETED')
                AND coalesce(c.status_changed_at, c.updated_at) < %(gone_before)s::timestamptz, false) AS is_gone
  FROM ad_campaigns c
 WHERE %(entity_type)s = 'campaign' AND c.ad_account_id = %(ad_account_id)s AND c.id = %(entity_id)s
UNION ALL
SELECT 'adset', g.id, g.platform_ad_set_id, 2,
       coalesce((g.status = 'DELETED' OR g.effective_status = 'DELETED')
                AND coalesce(g.status_changed_at, g.updated_at) < %(gone_before)s::timestamptz, false)
  FROM ad_sets g
 WHERE g.ad_account_id = %(ad_account_id)s
   AND ((%(entity_type)s = 'adset' AND g.id = %(entity_id)s)
     OR (%(entity_type)s = 'campaign' AND g.platform_campaign_id =
          (SELECT c.platform_campaign_id FROM ad_campaigns c
            WHERE c.ad_account_id = %(ad_account_id)s AND c.id = %(entity_id)s)))
UNION ALL
SELECT 'ad', d.id, d.platform_ad_id, 3,
       coalesce((d.status = 'DELETED' OR d.effective_status = 'DELETED')
                AND coalesce(d.status_changed_at, d.updated_at) < %(gone_before)s::timestamptz, false)
  FROM ads d
 WHERE d.ad_account_id = %(ad_account_id)s
   AND ((%(entity_type)s = 'ad' AND d.id = %(entity_id)s)
     OR (%(entity_type)s = 'adset' AND d.platform_ad_set_id =
          (SELECT g.platform_ad_set_id FROM ad_sets g
            WHERE g.ad_account_id = %(ad_account_id)s AND g.id = %(entity_id)s))
     OR (%(entity_type)s = 'campaign' AND d.platform_campaign_id =
          (SELECT c.platform_campaign_id FROM ad_campaigns c
            WHERE c.ad_account_id = %(ad_account_id)s AND c.id = %(entity_id)s)))
) below
 WHERE platform_id IS NOT NULL
 ORDER BY depth, platform_id

-- hidden_candidates --
-- Entities that account-wide reports may leave out (deleted, unreachable, or known from numbers
-- only) and that may still have numbers on days from `since` on: they had some shortly before,
-- appeared or changed recently, owe a final sync, or were never looked at by one. The last holds
-- for what is known to be gone only while the account's first complete sync is recent: what was
-- gone then, and had no numbers since, has none to come.
-- Those without a final sync come first. The others take turns, another order every hour, so
-- that a limit leaves nobody out for ever.
WITH account AS MATERIALIZED (
  SELECT first_synced_at IS NULL OR first_synced_at >= %(active_since)s AS is_new FROM ad_accounts
   WHERE id = %(ad_account_id)s
)
SELECT t.{platform_id}
  FROM {entities} t
 WHERE t.ad_account_id = %(ad_account_id)s AND t.{platform_id} IS NOT NULL
   AND (t.status = 'DELETED' OR t.effective_status = 'DELETED' OR t.unreachable_since IS NOT NULL
        OR (coalesce(t.status, 'UNKNOWN') = 'UNKNOWN' AND t.platform_status IS NULL))
   AND (t.created_at >= %(active_since)s
        OR t.updated_at >= %(active_since)s
        OR t.status_changed_at >= %(active_since)s
        OR (t.last_final_sync_at IS NULL
            AND ((t.status IS DISTINCT FROM 'DELETED' AND t.effective_status IS DISTINCT FROM 'DELETED')
                 OR (SELECT is_new FROM account)))
        OR t.id IN (SELECT l.entity_id FROM ad_status_change_log l
                     WHERE NOT final_sync_completed AND l.ad_account_id = %(ad_account_id)s
                       AND l.entity_type = %(level)s AND l.entity_id IS NOT NULL)
        OR t.id IN (SELECT m.entity_id FROM ad_metrics m
                     WHERE m.ad_account_id = %(ad_account_id)s AND m.date >= %(active_since)s
                       AND m.entity_type = %(level)s))
 ORDER BY t.last_final_sync_at IS NOT NULL,
          CASE WHEN %(limit)s::bigint IS NOT NULL THEN md5(t.{platform_id} || date_trunc('hour', adsync_now())) END,
          t.{platform_id}
 LIMIT %(limit)s
