-- Daily numbers per entity, and what is known of each account day.
--
-- A new ad_metrics is partitioned by month. One that was here before stays the plain table it
-- is: its columns are widened where they would round money, nothing is moved.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

DO $$
BEGIN
  IF to_regclass('ad_metrics') IS NULL THEN
    CREATE TABLE ad_metrics (
      entity_id uuid NOT NULL,
      ad_account_id uuid NOT NULL,
      impressions bigint NOT NULL DEFAULT 0,
      clicks bigint NOT NULL DEFAULT 0,
      link_clicks bigint,
      reach bigint,
      read_started_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      date date NOT NULL,
      entity_type text NOT NULL CHECK (entity_type IN ('campaign', 'adset', 'ad')),
      platform text NOT NULL,
      spend numeric(18,6) NOT NULL DEFAULT 0,
      conversions numeric(18,6) NOT NULL DEFAULT 0,
      conversion_value numeric(18,6) NOT NULL DEFAULT 0,
      frequency numeric,
      extra jsonb,
      PRIMARY KEY (date, entity_type, entity_id)
    ) PARTITION BY RANGE (date);
  END IF;
END $$;

ALTER TABLE ad_metrics
  ADD COLUMN IF NOT EXISTS ad_account_id uuid,
  ADD COLUMN IF NOT EXISTS platform text,
  ADD COLUMN IF NOT EXISTS impressions bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS clicks bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS link_clicks bigint,
  ADD COLUMN IF NOT EXISTS reach bigint,
  ADD COLUMN IF NOT EXISTS spend numeric(18,6) NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS conversions numeric(18,6) NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS conversion_value numeric(18,6) NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS frequency numeric,
  ADD COLUMN IF NOT EXISTS extra jsonb,
  ADD COLUMN IF NOT EXISTS read_started_at timestamptz,
  ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

-- A table that was here before: widen what would round or overflow. Views over the table are
-- taken down and put back word for word with their owner, options, grants and comment.
DO $$
DECLARE
  metrics constant oid := 'ad_metrics'::regclass;
  alterations text[] := '{}';
  problem record;
  wanted record;
  dependant record;
  view_names text[] := '{}';
  restores text[] := '{}';
  statement text;
  grants record;
BEGIN
  SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type INTO problem
  FROM pg_attribute a
  WHERE a.attrelid = metrics AND a.attnum > 0
    AND ((a.attname IN ('entity_id', 'ad_account_id') AND a.atttypid <> 'uuid'::regtype)
      OR (a.attname IN ('entity_type', 'platform') AND a.atttypid NOT IN ('text'::regtype, 'varchar'::regtype))
      OR (a.attname = 'date' AND a.atttypid <> 'date'::regtype)
      OR (a.attname = 'extra' AND a.atttypid <> 'jsonb'::regtype))
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ad_metrics.% is of type %, which adsync cannot use: convert entity_id and ad_account_id to uuid, entity_type and platform to text, date to date, extra to jsonb',
      problem.attname, problem.type;
  END IF;

  FOR wanted IN
    SELECT a.attname, a.atttypid, a.atttypmod, w.kind
    FROM (VALUES ('impressions', 'count'), ('clicks', 'count'), ('link_clicks', 'count'), ('reach', 'count'),
                 ('spend', 'amount'), ('conversions', 'amount'), ('conversion_value', 'amount'),
                 ('frequency', 'rate')) AS w(attname, kind)
    JOIN pg_attribute a ON a.attrelid = metrics AND a.attname = w.attname
  LOOP
    IF wanted.kind = 'count' AND wanted.atttypid NOT IN ('int8'::regtype, 'numeric'::regtype) THEN
      alterations := alterations || format('ALTER COLUMN %I TYPE bigint', wanted.attname);
    ELSIF wanted.kind = 'rate' AND wanted.atttypid <> 'numeric'::regtype THEN
      alterations := alterations || format('ALTER COLUMN %I TYPE numeric', wanted.attname);
    ELSIF wanted.kind = 'amount' AND (wanted.atttypid <> 'numeric'::regtype OR (wanted.atttypmod >= 0
        AND ((wanted.atttypmod - 4) & 2047 < 6
             OR ((wanted.atttypmod - 4) >> 16) - ((wanted.atttypmod - 4) & 2047) < 12))) THEN
      alterations := alterations || format('ALTER COLUMN %I TYPE numeric(18,6)', wanted.attname);
    END IF;
  END LOOP;

  -- Rates are derived here; a stored one keeps its numbers under another name, and views follow.
  FOR wanted IN
    SELECT a.attname FROM pg_attribute a
    WHERE a.attrelid = metrics AND a.attname IN ('ctr', 'cpc', 'cpm', 'roas') AND a.attgenerated = ''
  LOOP
    EXECUTE format('ALTER TABLE ad_metrics RENAME COLUMN %I TO %I', wanted.attname, 'seed_' || wanted.attname);
  END LOOP;

  IF alterations = '{}' THEN
    RETURN;
  END IF;

  FOR dependant IN
    WITH RECURSIVE edges AS (
      SELECT DISTINCT r.ev_class AS view, d.refobjid AS source
      FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
      WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND r.ev_class <> d.refobjid
    ), dependants AS (
      SELECT e.view, 1 AS depth FROM edges e WHERE e.source = metrics
      UNION
      SELECT e.view, p.depth + 1 FROM dependants p JOIN edges e ON e.source = p.view
    )
    SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.reloptions, c.relacl, c.relowner,
           max(x.depth) AS depth
    FROM dependants x JOIN pg_class c ON c.oid = x.view
    GROUP BY c.oid ORDER BY depth
  LOOP
    IF dependant.relkind <> 'v' OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = dependant.oid) THEN
      RAISE EXCEPTION '% depends on ad_metrics, whose columns must be widened, and is more than a plain view: drop it, migrate, and create it again',
        dependant.name;
    END IF;
    view_names := dependant.name || view_names;
    restores := restores || format('CREATE VIEW %s %s AS %s', dependant.name,
      coalesce('WITH (' || array_to_string(dependant.reloptions, ', ') || ')', ''),
      pg_get_viewdef(dependant.oid));
    restores := restores || format('ALTER VIEW %s OWNER TO %I', dependant.name, pg_get_userbyid(dependant.relowner));
    restores := restores || format('COMMENT ON VIEW %s IS %L', dependant.name, obj_description(dependant.oid, 'pg_class'));
    FOR grants IN SELECT * FROM aclexplode(dependant.relacl) LOOP
      restores := restores || format('GRANT %s ON %s TO %s%s', grants.privilege_type, dependant.name,
        CASE WHEN grants.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grants.grantee)) END,
        CASE WHEN grants.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
  END LOOP;

  FOREACH statement IN ARRAY view_names LOOP
    EXECUTE 'DROP VIEW ' || statement;
  END LOOP;
  EXECUTE 'ALTER TABLE ad_metrics ' || array_to_string(alterations, ', ');
  FOREACH statement IN ARRAY restores LOOP
    EXECUTE statement;
  END LOOP;
END $$;

-- The rest of what an older table must have or allow.
DO $$
DECLARE
  problem record;
BEGIN
  IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'ad_metrics'::regclass AND attname = 'user_id' AND attnotnull) THEN
    ALTER TABLE ad_metrics ALTER COLUMN user_id DROP NOT NULL;
  END IF;

  SELECT a.attname INTO problem FROM pg_attribute a
  WHERE a.attrelid = 'ad_metrics'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
    AND NOT a.atthasdef AND a.attidentity = ''
    AND a.attname NOT IN ('entity_id', 'entity_type', 'date', 'ad_account_id', 'platform', 'impressions',
      'clicks', 'link_clicks', 'spend', 'reach', 'frequency', 'conversions', 'conversion_value', 'extra',
      'read_started_at', 'created_at', 'updated_at')
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ad_metrics.% is NOT NULL without a default, and adsync does not know what to put there: give it a default or drop the NOT NULL',
      problem.attname;
  END IF;

  IF NOT EXISTS (
    SELECT FROM pg_index i
    WHERE i.indrelid = 'ad_metrics'::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
      AND i.indnkeyatts = 3
      AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
           WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)) = ARRAY['date', 'entity_id', 'entity_type'])
  THEN
    BEGIN
      ALTER TABLE ad_metrics ADD CONSTRAINT ad_metrics_platform_key UNIQUE (date, entity_type, entity_id);
    EXCEPTION WHEN unique_violation THEN
      RAISE EXCEPTION 'ad_metrics has several rows for one (entity_type, entity_id, date): merge them before migrating';
    END;
  END IF;
END $$;

-- An account and platform for rows that were here before; both are known from the entity.
UPDATE ad_metrics m SET ad_account_id = e.ad_account_id, platform = coalesce(m.platform, e.platform)
  FROM ad_campaigns e WHERE m.entity_type = 'campaign' AND e.id = m.entity_id AND (m.ad_account_id IS NULL OR m.platform IS NULL);
UPDATE ad_metrics m SET ad_account_id = e.ad_account_id, platform = coalesce(m.platform, e.platform)
  FROM ad_sets e WHERE m.entity_type = 'adset' AND e.id = m.entity_id AND (m.ad_account_id IS NULL OR m.platform IS NULL);
UPDATE ad_metrics m SET ad_account_id = e.ad_account_id, platform = coalesce(m.platform, e.platform)
  FROM ads e WHERE m.entity_type = 'ad' AND e.id = m.entity_id AND (m.ad_account_id IS NULL OR m.platform IS NULL);

-- Rates, derived so that they can never disagree with what they are made of. Computed on
-- reading where the server can (18 and later), else stored.
DO $$
DECLARE
  kind constant text := CASE WHEN current_setting('server_version_num')::int >= 180000 THEN 'VIRTUAL' ELSE 'STORED' END;
  rate record;
BEGIN
  FOR rate IN
    SELECT * FROM (VALUES
      ('cpc', 'CASE WHEN clicks > 0 THEN round(spend / clicks, 6) END'),
      ('cpm', 'CASE WHEN impressions > 0 THEN round(spend * 1000 / impressions, 6) END'),
      ('ctr', 'CASE WHEN impressions > 0 THEN round(clicks * 100.0 / impressions, 6) END'),
      ('roas', 'CASE WHEN spend > 0 THEN round(conversion_value / spend, 6) END')) AS rates(columnname, formula)
  LOOP
    EXECUTE format('ALTER TABLE ad_metrics ADD COLUMN IF NOT EXISTS %I numeric GENERATED ALWAYS AS (%s) %s',
      rate.columnname, rate.formula, kind);
  END LOOP;
END $$;

CREATE INDEX IF NOT EXISTS ad_metrics_account_date_idx ON ad_metrics (ad_account_id, date);

-- Makes the monthly partitions that cover a range of days; none where ad_metrics is plain.
-- Attaching takes no lock that a reader or writer of other months waits for. Runs with its
-- owner's rights, since whoever syncs need not be allowed to create tables.
CREATE OR REPLACE FUNCTION ensure_metric_partitions(p_since date, p_until date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  month_start date := make_date(extract(year FROM p_since)::int, extract(month FROM p_since)::int, 1);
  next_start date;
  partition_name text;
  created integer := 0;
BEGIN
  IF p_until - p_since > 5000 OR p_since < '1990-01-01' OR p_until > '2100-01-01' THEN
    RAISE EXCEPTION 'a range from % to % is not plausible for daily metrics', p_since, p_until;
  END IF;
  IF (SELECT relkind FROM pg_class WHERE oid = 'ad_metrics'::regclass) <> 'p' THEN
    RETURN 0;
  END IF;
  WHILE month_start <= p_until LOOP
    next_start := (month_start + interval '1 month')::date;
    partition_name := 'ad_metrics_' || to_char(month_start, 'YYYY_MM');
    IF to_regclass(partition_name) IS NULL THEN
      PERFORM pg_advisory_xact_lock(hashtextextended('adsync:metric_partitions', 0));
      -- Whoever held the lock before may have made it meanwhile. Asked of the table, not of
      -- to_regclass: its cached "no" outlives the wait for an advisory lock.
      IF NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_class m ON m.relnamespace = c.relnamespace
        WHERE m.oid = 'ad_metrics'::regclass AND c.relname = partition_name)
      THEN
        EXECUTE format('CREATE TABLE %I (LIKE ad_metrics INCLUDING ALL)', partition_name);
        EXECUTE format('ALTER TABLE %I SET (fillfactor = 90)', partition_name);
        EXECUTE format('ALTER TABLE ad_metrics ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
          partition_name, month_start, next_start);
        EXECUTE format('CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_deletion()',
          partition_name);
        created := created + 1;
      END IF;
    END IF;
    month_start := next_start;
  END LOOP;
  RETURN created;
END $$;
REVOKE EXECUTE ON FUNCTION ensure_metric_partitions(date, date) FROM PUBLIC;

DO $$
BEGIN
  PERFORM ensure_metric_partitions(current_date - 100, current_date + 62);
END $$;

-- What is known of one account day at one level: read or not, settled or not, and whether the
-- rows add up to the platform's own total.
CREATE TABLE IF NOT EXISTS ad_account_days (
  ad_account_id uuid NOT NULL REFERENCES ad_accounts (id),
  date date NOT NULL,
  level text NOT NULL CHECK (level IN ('campaign', 'adset', 'ad')),
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'reconciled', 'sealed')),
  read_started_at timestamptz,
  sealed_at timestamptz,
  total_impressions bigint,
  total_clicks bigint,
  total_spend numeric(18,6),
  total_conversions numeric(18,6),
  total_conversion_value numeric(18,6),
  stored_impressions numeric,
  stored_clicks numeric,
  stored_spend numeric,
  stored_conversions numeric,
  stored_conversion_value numeric,
  residual_impressions numeric GENERATED ALWAYS AS (total_impressions - stored_impressions) STORED,
  residual_clicks numeric GENERATED ALWAYS AS (total_clicks - stored_clicks) STORED,
  residual_spend numeric GENERATED ALWAYS AS (total_spend - stored_spend) STORED,
  residual_conversions numeric GENERATED ALWAYS AS (total_conversions - stored_conversions) STORED,
  residual_conversion_value numeric GENERATED ALWAYS AS (total_conversion_value - stored_conversion_value) STORED,
  residual_class text CHECK (residual_class IN
    ('never_seen_entity', 'deleted_hidden', 'no_ad_rows', 'moving', 'unexplained')),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (ad_account_id, date, level),
  -- A day is final only on the word of a complete read.
  CHECK (state <> 'sealed' OR (read_started_at IS NOT NULL AND sealed_at IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS ad_account_days_open_idx ON ad_account_days (ad_account_id, date) WHERE state <> 'sealed';
