-- Status changes: the tracking columns, the log, the rule which change owes a final sync, and
-- the triggers that write both in the transaction that changes the status.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

ALTER TABLE ad_campaigns
  ADD COLUMN IF NOT EXISTS previous_status text,
  ADD COLUMN IF NOT EXISTS status_changed_at timestamptz,
  ADD COLUMN IF NOT EXISTS last_final_sync_at timestamptz;
ALTER TABLE ad_sets
  ADD COLUMN IF NOT EXISTS previous_status text,
  ADD COLUMN IF NOT EXISTS status_changed_at timestamptz,
  ADD COLUMN IF NOT EXISTS last_final_sync_at timestamptz;
ALTER TABLE ads
  ADD COLUMN IF NOT EXISTS previous_status text,
  ADD COLUMN IF NOT EXISTS status_changed_at timestamptz,
  ADD COLUMN IF NOT EXISTS last_final_sync_at timestamptz;

CREATE TABLE IF NOT EXISTS ad_status_change_log (id uuid PRIMARY KEY DEFAULT adsync_new_id());
-- The order of changes is change_seq, never a time. It says nothing about commit order, so no
-- reader may use it as a cursor: pending work is found by its state.
ALTER TABLE ad_status_change_log
  ADD COLUMN IF NOT EXISTS change_seq bigint GENERATED ALWAYS AS IDENTITY,
  ADD COLUMN IF NOT EXISTS entity_type text,
  ADD COLUMN IF NOT EXISTS entity_id uuid,
  ADD COLUMN IF NOT EXISTS platform_entity_id text,
  ADD COLUMN IF NOT EXISTS ad_account_id uuid,
  ADD COLUMN IF NOT EXISTS user_id uuid,
  ADD COLUMN IF NOT EXISTS platform text,
  ADD COLUMN IF NOT EXISTS old_status text,
  ADD COLUMN IF NOT EXISTS new_status text,
  ADD COLUMN IF NOT EXISTS final_sync_completed boolean DEFAULT false,
  ADD COLUMN IF NOT EXISTS final_sync_completed_at timestamptz,
  ADD COLUMN IF NOT EXISTS final_sync_attempted_at timestamptz,
  ADD COLUMN IF NOT EXISTS final_sync_error text,
  ADD COLUMN IF NOT EXISTS attempts integer NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS next_attempt_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN IF NOT EXISTS blocked_reason text,
  ADD COLUMN IF NOT EXISTS claim_token uuid,
  ADD COLUMN IF NOT EXISTS claimed_at timestamptz,
  ADD COLUMN IF NOT EXISTS source text NOT NULL DEFAULT 'trigger',
  ADD COLUMN IF NOT EXISTS metadata jsonb,
  ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE ad_status_change_log
  ALTER COLUMN id SET DEFAULT adsync_new_id(),
  ALTER COLUMN next_attempt_at SET DEFAULT adsync_now(),
  ALTER COLUMN created_at SET DEFAULT adsync_now();
-- Vacuum after a fixed number of finished rows, not after a fraction of an ever larger log:
-- claims stay cheap only while dead pending entries are cleared away.
ALTER TABLE ad_status_change_log SET (
  fillfactor = 85, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);

-- Queries repeat "WHERE NOT final_sync_completed" word for word: with "IS FALSE" or a bound
-- parameter these indexes are not used and a large log is read whole.
CREATE INDEX IF NOT EXISTS ad_status_change_log_pending_entity_idx
  ON ad_status_change_log (ad_account_id, entity_type, entity_id, change_seq) WHERE NOT final_sync_completed;
CREATE INDEX IF NOT EXISTS ad_status_change_log_pending_due_idx
  ON ad_status_change_log (ad_account_id, next_attempt_at, change_seq) WHERE NOT final_sync_completed;
CREATE INDEX IF NOT EXISTS ad_status_change_log_claim_idx
  ON ad_status_change_log (claim_token) WHERE NOT final_sync_completed;
CREATE INDEX IF NOT EXISTS ad_status_change_log_entity_idx
  ON ad_status_change_log (entity_type, entity_id, change_seq);
CREATE INDEX IF NOT EXISTS ad_status_change_log_platform_entity_idx
  ON ad_status_change_log (platform_entity_id, created_at);
CREATE INDEX IF NOT EXISTS ad_status_change_log_created_idx
  ON ad_status_change_log USING brin (created_at) WITH (autosummarize = on);

-- Whether an entity in this own or effective status can spend. Anything unknown counts as
-- stopped: that syncs more, never less.
CREATE OR REPLACE FUNCTION is_delivering(status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(upper(status) IN ('ACTIVE', 'WITH_ISSUES'), false)
$$;

-- Whether the step from one status to another owes a final sync: the entity could spend, or
-- nobody had looked yet, and now it cannot. adsync_dagster/status.py says the same in Python.
CREATE OR REPLACE FUNCTION requires_final_sync(old_status text, new_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT NOT is_delivering(new_status) AND (old_status IS NULL OR is_delivering(old_status))
$$;

-- BEFORE UPDATE: keeps the columns that say what the status was and when it changed.
CREATE OR REPLACE FUNCTION track_status_change() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  NEW.previous_status := CASE WHEN upper(OLD.status) IS DISTINCT FROM upper(NEW.status)
    THEN OLD.status ELSE coalesce(OLD.effective_status, OLD.status) END;
  NEW.status_changed_at := adsync_now();
  RETURN NEW;
END $$;

-- AFTER UPDATE: one log row per changed entity, in the same transaction. A change of the own
-- status is logged as such; when that stood still, the change of the effective status is.
-- Runs with its owner's rights: whoever may change a status need not be allowed to write the log.
CREATE OR REPLACE FUNCTION log_status_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  -- An entity without an effective status of its own does what its switch says.
  old_effective text := coalesce(OLD.effective_status, OLD.status);
  new_effective text := coalesce(NEW.effective_status, NEW.status);
  own_changed boolean := upper(OLD.status) IS DISTINCT FROM upper(NEW.status);
  effective_changed boolean := upper(old_effective) IS DISTINCT FROM upper(new_effective);
  -- A stub was made for numbers whose entity nobody had seen; its first status is a first sight.
  was_stub boolean := OLD.status = 'UNKNOWN' AND OLD.platform_status IS NULL;
  from_status text := CASE WHEN own_changed THEN OLD.status ELSE old_effective END;
  to_status text := CASE WHEN own_changed THEN NEW.status ELSE new_effective END;
  owed boolean;
  first_synced boolean;
  platform_id text;
BEGIN
  owed := (own_changed AND requires_final_sync(OLD.status, NEW.status))
       OR (effective_changed AND requires_final_sync(old_effective, new_effective));
  IF was_stub THEN
    SELECT a.first_synced_at IS NOT NULL INTO first_synced FROM ad_accounts a WHERE a.id = NEW.ad_account_id;
    owed := coalesce(first_synced, false) AND NOT (is_delivering(NEW.status) AND is_delivering(new_effective));
    from_status := NULL;
    to_status := CASE WHEN is_delivering(NEW.status) THEN new_effective ELSE NEW.status END;
  END IF;
  CASE TG_ARGV[0]
    WHEN 'campaign' THEN platform_id := NEW.platform_campaign_id;
    WHEN 'adset' THEN platform_id := NEW.platform_ad_set_id;
    ELSE platform_id := NEW.platform_ad_id;
  END CASE;
  INSERT INTO ad_status_change_log (
    entity_type, entity_id, platform_entity_id, ad_account_id, user_id, platform,
    old_status, new_status, final_sync_completed, source, metadata, created_at)
  VALUES (
    TG_ARGV[0], NEW.id, platform_id, NEW.ad_account_id, NEW.user_id, NEW.platform,
    from_status, to_status, CASE WHEN owed THEN false END,
    CASE WHEN was_stub THEN 'first_sight' ELSE 'trigger' END,
    jsonb_build_object(
      'kind', CASE WHEN own_changed THEN 'own' ELSE 'effective' END,
      'old_own_status', OLD.status, 'new_own_status', NEW.status,
      'old_effective_status', OLD.effective_status, 'new_effective_status', NEW.effective_status),
    CASE WHEN NEW.status_changed_at IS DISTINCT FROM OLD.status_changed_at
      THEN coalesce(NEW.status_changed_at, adsync_now()) ELSE adsync_now() END);
  RETURN NULL;
END $$;

-- AFTER INSERT: an entity first seen when it had already stopped. Before the account's first
-- complete sync nothing is logged: that sync reads the whole history of every entity anyway.
-- Stubs made for numbers of an unseen entity are not a sighting and log nothing.
CREATE OR REPLACE FUNCTION log_first_sight() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  effective text := coalesce(NEW.effective_status, NEW.status);
  platform_id text;
BEGIN
  IF NOT EXISTS (SELECT FROM ad_accounts a WHERE a.id = NEW.ad_account_id AND a.first_synced_at IS NOT NULL) THEN
    RETURN NULL;
  END IF;
  CASE TG_ARGV[0]
    WHEN 'campaign' THEN platform_id := NEW.platform_campaign_id;
    WHEN 'adset' THEN platform_id := NEW.platform_ad_set_id;
    ELSE platform_id := NEW.platform_ad_id;
  END CASE;
  INSERT INTO ad_status_change_log (
    entity_type, entity_id, platform_entity_id, ad_account_id, user_id, platform,
    old_status, new_status, final_sync_completed, source, metadata)
  VALUES (
    TG_ARGV[0], NEW.id, platform_id, NEW.ad_account_id, NEW.user_id, NEW.platform,
    NULL, CASE WHEN is_delivering(NEW.status) THEN effective ELSE NEW.status END, false, 'first_sight',
    jsonb_build_object(
      'kind', CASE WHEN is_delivering(NEW.status) THEN 'effective' ELSE 'own' END,
      'old_own_status', NULL, 'new_own_status', NEW.status,
      'old_effective_status', NULL, 'new_effective_status', NEW.effective_status));
  RETURN NULL;
END $$;

-- AFTER UPDATE: an entity that moved to another parent keeps its history.
CREATE OR REPLACE FUNCTION log_parent_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  IF TG_ARGV[0] = 'ad' THEN
    INSERT INTO ad_entity_parent_changes (entity_type, entity_id, ad_account_id,
      old_platform_campaign_id, new_platform_campaign_id, old_platform_ad_set_id, new_platform_ad_set_id)
    VALUES ('ad', NEW.id, NEW.ad_account_id, OLD.platform_campaign_id, NEW.platform_campaign_id,
      OLD.platform_ad_set_id, NEW.platform_ad_set_id);
  ELSE
    INSERT INTO ad_entity_parent_changes (entity_type, entity_id, ad_account_id,
      old_platform_campaign_id, new_platform_campaign_id)
    VALUES (TG_ARGV[0], NEW.id, NEW.ad_account_id, OLD.platform_campaign_id, NEW.platform_campaign_id);
  END IF;
  RETURN NULL;
END $$;

REVOKE EXECUTE ON FUNCTION log_status_change(), log_first_sight(), log_parent_change() FROM PUBLIC;

-- Triggers are ALWAYS ones: they also fire where changes are applied by replication or loaded
-- with triggers off. The columns' trigger sorts last among BEFORE triggers (they run by name),
-- so it sees what any other one made of the status; the log's trigger names no column, since
-- such a BEFORE trigger may change the status without the UPDATE naming it.
DO $$
DECLARE
  level record;
  changed constant text :=
    'upper(OLD.status) IS DISTINCT FROM upper(NEW.status)'
    ' OR upper(coalesce(OLD.effective_status, OLD.status)) IS DISTINCT FROM upper(coalesce(NEW.effective_status, NEW.status))';
  stopped constant text :=
    'NOT (is_delivering(NEW.status) AND is_delivering(coalesce(NEW.effective_status, NEW.status)))'
    ' AND (NEW.status IS DISTINCT FROM ''UNKNOWN'' OR NEW.platform_status IS NOT NULL)';
BEGIN
  FOR level IN
    SELECT * FROM (VALUES ('ad_campaigns', 'campaign'), ('ad_sets', 'adset'), ('ads', 'ad')) AS levels(tablename, kind)
  LOOP
    EXECUTE format('CREATE OR REPLACE TRIGGER %I BEFORE UPDATE ON %I FOR EACH ROW WHEN (%s) EXECUTE FUNCTION track_status_change()',
      'zzz_track_' || level.kind || '_status_change', level.tablename, changed);
    EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER UPDATE ON %I FOR EACH ROW WHEN (%s) EXECUTE FUNCTION log_status_change(%L)',
      'trigger_log_' || level.kind || '_status_change', level.tablename, changed, level.kind);
    EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER INSERT ON %I FOR EACH ROW WHEN (%s) EXECUTE FUNCTION log_first_sight(%L)',
      'trigger_log_' || level.kind || '_first_sight', level.tablename, stopped, level.kind);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I, ENABLE ALWAYS TRIGGER %I, ENABLE ALWAYS TRIGGER %I', level.tablename,
      'zzz_track_' || level.kind || '_status_change', 'trigger_log_' || level.kind || '_status_change',
      'trigger_log_' || level.kind || '_first_sight');
  END LOOP;
END $$;

CREATE OR REPLACE TRIGGER trigger_log_adset_parent_change AFTER UPDATE ON ad_sets FOR EACH ROW
  WHEN (OLD.platform_campaign_id IS NOT NULL AND OLD.platform_campaign_id IS DISTINCT FROM NEW.platform_campaign_id)
  EXECUTE FUNCTION log_parent_change('adset');
CREATE OR REPLACE TRIGGER trigger_log_ad_parent_change AFTER UPDATE ON ads FOR EACH ROW
  WHEN ((OLD.platform_ad_set_id IS NOT NULL AND OLD.platform_ad_set_id IS DISTINCT FROM NEW.platform_ad_set_id)
     OR (OLD.platform_campaign_id IS NOT NULL AND OLD.platform_campaign_id IS DISTINCT FROM NEW.platform_campaign_id))
  EXECUTE FUNCTION log_parent_change('ad');
ALTER TABLE ad_sets ENABLE ALWAYS TRIGGER trigger_log_adset_parent_change;
ALTER TABLE ads ENABLE ALWAYS TRIGGER trigger_log_ad_parent_change;

-- A database that already ran an older tracking migration may have these two with other result
-- types, which cannot be replaced in place.
DO $$
DECLARE
  old_version record;
BEGIN
  FOR old_version IN
    SELECT p.oid::regprocedure::text AS signature FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace
      AND p.proname IN ('get_entities_needing_final_sync', 'mark_final_sync_completed')
  LOOP
    EXECUTE 'DROP FUNCTION ' || old_version.signature;
  END LOOP;
END $$;

-- The entities of an account that still owe a final sync: one row each, with its latest pending
-- change. mark_final_sync_completed with that row's log_id settles the entity's earlier ones too.
CREATE FUNCTION get_entities_needing_final_sync(p_ad_account_id uuid, p_entity_type text DEFAULT NULL)
RETURNS TABLE (
  log_id uuid, entity_type text, entity_id uuid, platform_entity_id text, ad_account_id uuid, user_id uuid,
  platform text, old_status text, new_status text, created_at timestamptz, attempts integer, blocked_reason text)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  SELECT DISTINCT ON (l.entity_type, l.entity_id)
         l.id, l.entity_type, l.entity_id, l.platform_entity_id, l.ad_account_id, l.user_id,
         l.platform, l.old_status, l.new_status, l.created_at, l.attempts, l.blocked_reason
    FROM ad_status_change_log l
   WHERE NOT final_sync_completed
     AND l.ad_account_id = p_ad_account_id
     AND (p_entity_type IS NULL OR l.entity_type = p_entity_type)
   ORDER BY l.entity_type, l.entity_id, l.change_seq DESC
$$;

-- Records how a final sync ended, by hand or from another program. Success settles this change
-- and the entity's earlier pending ones, and stamps the entity; failure keeps it pending, with
-- the error, and puts the next attempt off. Returns false when it was settled already.
CREATE FUNCTION mark_final_sync_completed(p_log_id uuid, p_success boolean DEFAULT true, p_error text DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  change ad_status_change_log;
  moment timestamptz := adsync_now();
BEGIN
  SELECT * INTO change FROM ad_status_change_log WHERE id = p_log_id FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no status change % in the log', p_log_id USING ERRCODE = 'no_data_found';
  END IF;
  IF change.final_sync_completed IS NOT FALSE THEN
    RETURN false;
  END IF;
  IF NOT p_success THEN
    UPDATE ad_status_change_log
       SET final_sync_attempted_at = moment, final_sync_error = coalesce(p_error, 'failed without a message'),
           attempts = change.attempts + 1, claim_token = NULL, claimed_at = NULL,
           next_attempt_at = moment + least(interval '6 hours', interval '1 minute' * power(2, least(change.attempts, 9)))
     WHERE id = p_log_id;
    RETURN true;
  END IF;
  UPDATE ad_status_change_log
     SET final_sync_completed = true, final_sync_completed_at = moment, final_sync_attempted_at = moment,
         final_sync_error = NULL, blocked_reason = NULL, claim_token = NULL, claimed_at = NULL
   WHERE NOT final_sync_completed AND ad_account_id = change.ad_account_id
     AND entity_type = change.entity_type AND entity_id = change.entity_id AND change_seq <= change.change_seq;
  CASE change.entity_type
    WHEN 'campaign' THEN UPDATE ad_campaigns SET last_final_sync_at = moment WHERE id = change.entity_id;
    WHEN 'adset' THEN UPDATE ad_sets SET last_final_sync_at = moment WHERE id = change.entity_id;
    ELSE UPDATE ads SET last_final_sync_at = moment WHERE id = change.entity_id;
  END CASE;
  RETURN true;
END $$;
