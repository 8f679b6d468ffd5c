-- Accounts, campaigns, ad sets and ads.
--
-- Runs on an empty database and on one that already has tables of these names: every column
-- is added only where it is missing, nothing is dropped, and what cannot be adopted stops the
-- migration with a sentence that says what to change.

DO $$
BEGIN
  -- Everything goes to the connection's own schema, and functions made below with
  -- "SET search_path FROM CURRENT" keep exactly this path: nobody can shadow a table of ours.
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
  IF current_setting('server_version_num')::int < 150000 THEN
    RAISE EXCEPTION 'PostgreSQL % is too old: adsync needs 15 or later', current_setting('server_version');
  END IF;
END $$;

-- The time of every stamp in this schema. Tests and the demo set adsync.now to a virtual
-- instant on their own connections; in production it is the wall clock, not the transaction's
-- start, so that two changes inside one transaction keep their order.
CREATE OR REPLACE FUNCTION adsync_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT coalesce(nullif(current_setting('adsync.now', true), '')::timestamptz, clock_timestamp())
$$;

-- Ids that sort by time where the server can make them (18 and later), else random ones.
DO $$
BEGIN
  EXECUTE format(
    'CREATE OR REPLACE FUNCTION adsync_new_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE'
    ' AS $f$ SELECT pg_catalog.%s() $f$',
    CASE WHEN current_setting('server_version_num')::int >= 180000 THEN 'uuidv7' ELSE 'gen_random_uuid' END);
END $$;

-- Nothing deletes: rows of entities, metrics and the log are the record of what was known.
-- The owner of a table can lift this with ALTER TABLE ... DISABLE TRIGGER, a superuser also
-- with SET session_replication_role = replica.
CREATE OR REPLACE FUNCTION refuse_deletion() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are never deleted', TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation',
          HINT = 'Set ad_accounts.is_active = false to stop syncing an account.'
                 ' The table''s owner can disable the trigger ' || TG_NAME || '.';
END $$;

CREATE TABLE IF NOT EXISTS ad_accounts (id uuid PRIMARY KEY DEFAULT adsync_new_id());
CREATE TABLE IF NOT EXISTS ad_campaigns (id uuid PRIMARY KEY DEFAULT adsync_new_id());
CREATE TABLE IF NOT EXISTS ad_sets (id uuid PRIMARY KEY DEFAULT adsync_new_id());
CREATE TABLE IF NOT EXISTS ads (id uuid PRIMARY KEY DEFAULT adsync_new_id());

ALTER TABLE ad_accounts
  ADD COLUMN IF NOT EXISTS user_id uuid,
  ADD COLUMN IF NOT EXISTS platform text NOT NULL DEFAULT 'facebook',
  ADD COLUMN IF NOT EXISTS platform_account_id text,
  ADD COLUMN IF NOT EXISTS name text,
  ADD COLUMN IF NOT EXISTS currency text,
  ADD COLUMN IF NOT EXISTS timezone text NOT NULL DEFAULT 'UTC',
  ADD COLUMN IF NOT EXISTS account_status text,
  ADD COLUMN IF NOT EXISTS is_active boolean NOT NULL DEFAULT true,
  ADD COLUMN IF NOT EXISTS history_start date,
  ADD COLUMN IF NOT EXISTS first_synced_at timestamptz,
  ADD COLUMN IF NOT EXISTS last_synced_at timestamptz,
  ADD COLUMN IF NOT EXISTS last_sync_attempted_at timestamptz,
  ADD COLUMN IF NOT EXISTS last_sync_error text,
  ADD COLUMN IF NOT EXISTS blocked_reason text,
  ADD COLUMN IF NOT EXISTS blocked_detail text,
  ADD COLUMN IF NOT EXISTS blocked_at timestamptz,
  ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

-- The same columns for the three levels. A level's parents are named by the platform's own
-- ids as well as by ours, since a child can be seen before its parent.
DO $$
DECLARE
  level record;
BEGIN
  FOR level IN
    SELECT * FROM (VALUES
      ('ad_campaigns', 'platform_campaign_id', false, false),
      ('ad_sets', 'platform_ad_set_id', true, false),
      ('ads', 'platform_ad_id', true, true)) AS levels(tablename, id_column, in_campaign, in_ad_set)
  LOOP
    EXECUTE format(
      'ALTER TABLE %I
         ADD COLUMN IF NOT EXISTS ad_account_id uuid,
         ADD COLUMN IF NOT EXISTS user_id uuid,
         ADD COLUMN IF NOT EXISTS platform text,
         ADD COLUMN IF NOT EXISTS %I text,
         ADD COLUMN IF NOT EXISTS name text,
         ADD COLUMN IF NOT EXISTS status text,
         ADD COLUMN IF NOT EXISTS platform_status text,
         ADD COLUMN IF NOT EXISTS effective_status text,
         ADD COLUMN IF NOT EXISTS platform_created_at timestamptz,
         ADD COLUMN IF NOT EXISTS platform_updated_at timestamptz,
         ADD COLUMN IF NOT EXISTS unreachable_since timestamptz,
         ADD COLUMN IF NOT EXISTS extra jsonb,
         ADD COLUMN IF NOT EXISTS read_started_at timestamptz,
         ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
         ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now()',
      level.tablename, level.id_column);
    IF level.in_campaign THEN
      EXECUTE format(
        'ALTER TABLE %I ADD COLUMN IF NOT EXISTS campaign_id uuid,
                        ADD COLUMN IF NOT EXISTS platform_campaign_id text', level.tablename);
    END IF;
    IF level.in_ad_set THEN
      EXECUTE format(
        'ALTER TABLE %I ADD COLUMN IF NOT EXISTS ad_set_id uuid,
                        ADD COLUMN IF NOT EXISTS platform_ad_set_id text', level.tablename);
    END IF;
    -- Room for an updated row on its own page: most updates then touch no index.
    EXECUTE format('ALTER TABLE %I SET (fillfactor = 85)', level.tablename);
  END LOOP;
END $$;

-- What a table that was here before must allow. Only this is changed without asking: user_id may
-- be empty (an account added from the command line belongs to no user), and so may our id of a
-- parent (a child can be seen before its parent).
DO $$
DECLARE
  problem record;
BEGIN
  FOR problem IN
    SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.oid IN ('ad_accounts'::regclass, 'ad_campaigns'::regclass, 'ad_sets'::regclass, 'ads'::regclass)
      AND a.attname IN ('user_id', 'campaign_id', 'ad_set_id') AND a.attnotnull
  LOOP
    EXECUTE format('ALTER TABLE %I ALTER COLUMN %I DROP NOT NULL', problem.relname, problem.attname);
  END LOOP;

  SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type INTO problem
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.oid IN ('ad_accounts'::regclass, 'ad_campaigns'::regclass, 'ad_sets'::regclass, 'ads'::regclass)
    AND a.attname IN ('id', 'ad_account_id', 'user_id', 'campaign_id', 'ad_set_id') AND a.attnum > 0
    AND a.atttypid <> 'uuid'::regtype
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '%.% is of type %, but adsync needs uuid: convert it before migrating',
      problem.relname, problem.attname, problem.type;
  END IF;

  SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type INTO problem
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.oid IN ('ad_campaigns'::regclass, 'ad_sets'::regclass, 'ads'::regclass)
    AND a.attname IN ('status', 'platform_status', 'effective_status', 'name')
    AND a.atttypid NOT IN ('text'::regtype, 'varchar'::regtype)
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '%.% is of type %, which cannot hold every status of every platform: convert it to text',
      problem.relname, problem.attname, problem.type;
  END IF;

  SELECT k.conrelid::regclass AS relname, k.conname INTO problem
  FROM pg_constraint k
  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
  WHERE k.contype = 'c' AND a.attname IN ('status', 'effective_status')
    AND k.conrelid IN ('ad_campaigns'::regclass, 'ad_sets'::regclass, 'ads'::regclass)
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'constraint % of % restricts the status; drop it: platforms add statuses, and a sync must store them',
      problem.conname, problem.relname;
  END IF;

  SELECT c.relname, a.attname INTO problem
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.oid IN ('ad_accounts'::regclass, 'ad_campaigns'::regclass, 'ad_sets'::regclass, 'ads'::regclass)
    AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
    AND a.attname NOT IN ('id', 'ad_account_id', 'user_id', 'platform', 'platform_account_id',
      'platform_campaign_id', 'platform_ad_set_id', 'platform_ad_id', 'name', 'currency', 'timezone',
      'status', 'effective_status', 'created_at', 'updated_at')
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '%.% is NOT NULL without a default, and adsync does not know what to put there: give it a default or drop the NOT NULL',
      problem.relname, problem.attname;
  END IF;
END $$;

-- A table that was here before may lack id defaults, the platform of its rows, or the parent's
-- platform id; all are known from what it has.
ALTER TABLE ad_accounts ALTER COLUMN id SET DEFAULT adsync_new_id();
ALTER TABLE ad_campaigns ALTER COLUMN id SET DEFAULT adsync_new_id();
ALTER TABLE ad_sets ALTER COLUMN id SET DEFAULT adsync_new_id();
ALTER TABLE ads ALTER COLUMN id SET DEFAULT adsync_new_id();
UPDATE ad_campaigns e SET platform = a.platform FROM ad_accounts a WHERE a.id = e.ad_account_id AND e.platform IS NULL;
UPDATE ad_sets e SET platform = a.platform FROM ad_accounts a WHERE a.id = e.ad_account_id AND e.platform IS NULL;
UPDATE ads e SET platform = a.platform FROM ad_accounts a WHERE a.id = e.ad_account_id AND e.platform IS NULL;
UPDATE ad_sets e SET platform_campaign_id = p.platform_campaign_id FROM ad_campaigns p
 WHERE p.id = e.campaign_id AND e.platform_campaign_id IS NULL;
UPDATE ads e SET platform_ad_set_id = p.platform_ad_set_id FROM ad_sets p
 WHERE p.id = e.ad_set_id AND e.platform_ad_set_id IS NULL;
UPDATE ads e SET campaign_id = coalesce(e.campaign_id, p.campaign_id),
                 platform_campaign_id = p.platform_campaign_id
  FROM ad_sets p
 WHERE p.id = e.ad_set_id AND e.platform_campaign_id IS NULL AND p.platform_campaign_id IS NOT NULL;

-- The natural keys, which upserts name. Where a constraint or index over exactly these columns
-- is there already it is kept.
DO $$
DECLARE
  key record;
  missing boolean;
BEGIN
  FOR key IN
    SELECT * FROM (VALUES
      ('ad_accounts', 'platform', 'platform_account_id'),
      ('ad_campaigns', 'ad_account_id', 'platform_campaign_id'),
      ('ad_sets', 'ad_account_id', 'platform_ad_set_id'),
      ('ads', 'ad_account_id', 'platform_ad_id')) AS keys(tablename, first_column, second_column)
  LOOP
    SELECT NOT EXISTS (
      SELECT FROM pg_index i
      WHERE i.indrelid = key.tablename::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
        AND i.indnkeyatts = 2
        AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
             WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
            = (SELECT array_agg(name ORDER BY name) FROM unnest(ARRAY[key.first_column, key.second_column]) AS name))
      INTO missing;
    CONTINUE WHEN NOT missing;
    BEGIN
      EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I UNIQUE (%I, %I)', key.tablename,
        key.tablename || '_platform_key', key.first_column, key.second_column);
    EXCEPTION WHEN unique_violation THEN
      RAISE EXCEPTION '% has several rows with the same (%, %): merge them before migrating',
        key.tablename, key.first_column, key.second_column;
    END;
  END LOOP;
END $$;

-- Entities belong to accounts and children to parents. NOT VALID: rows that were here before
-- are not judged, new ones are.
DO $$
DECLARE
  link record;
BEGIN
  FOR link IN
    SELECT * FROM (VALUES
      ('ad_campaigns', 'ad_account_id', 'ad_accounts'), ('ad_sets', 'ad_account_id', 'ad_accounts'),
      ('ads', 'ad_account_id', 'ad_accounts'), ('ad_sets', 'campaign_id', 'ad_campaigns'),
      ('ads', 'campaign_id', 'ad_campaigns'), ('ads', 'ad_set_id', 'ad_sets'))
      AS links(tablename, columnname, parent)
  LOOP
    CONTINUE WHEN EXISTS (
      SELECT FROM pg_constraint k
      WHERE k.contype = 'f' AND k.conrelid = link.tablename::regclass AND k.confrelid = link.parent::regclass
        AND k.conkey = ARRAY[(SELECT attnum FROM pg_attribute
                              WHERE attrelid = link.tablename::regclass AND attname = link.columnname)]);
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %I (id) NOT VALID',
      link.tablename, link.tablename || '_' || link.columnname || '_fkey', link.columnname, link.parent);
  END LOOP;
END $$;

-- A stopped parent's descendants are found through these.
CREATE INDEX IF NOT EXISTS ad_sets_campaign_idx ON ad_sets (ad_account_id, platform_campaign_id);
CREATE INDEX IF NOT EXISTS ads_campaign_idx ON ads (ad_account_id, platform_campaign_id);
CREATE INDEX IF NOT EXISTS ads_ad_set_idx ON ads (ad_account_id, platform_ad_set_id);
CREATE INDEX IF NOT EXISTS ad_sets_campaign_id_idx ON ad_sets (campaign_id);
CREATE INDEX IF NOT EXISTS ads_campaign_id_idx ON ads (campaign_id);
CREATE INDEX IF NOT EXISTS ads_ad_set_id_idx ON ads (ad_set_id);

-- Where an entity belonged before it moved to another parent: its old days keep their meaning.
CREATE TABLE IF NOT EXISTS ad_entity_parent_changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entity_type text NOT NULL CHECK (entity_type IN ('adset', 'ad')),
  entity_id uuid NOT NULL,
  ad_account_id uuid NOT NULL,
  old_platform_campaign_id text,
  new_platform_campaign_id text,
  old_platform_ad_set_id text,
  new_platform_ad_set_id text,
  changed_at timestamptz NOT NULL DEFAULT adsync_now()
);
CREATE INDEX IF NOT EXISTS ad_entity_parent_changes_entity_idx
  ON ad_entity_parent_changes (entity_type, entity_id, id);
