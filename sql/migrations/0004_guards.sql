-- What can never happen to the record: deletion, truncation, and rewriting a logged change.
--
-- These are ordinary triggers: they stop accidents and programs, not the owner of the tables,
-- who can disable them, nor a superuser under session_replication_role = replica.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

-- A logged change is append-only. Only the state of its final sync moves, and only forward:
-- owed to done, or (by hand) none needed to owed. Done never becomes anything else.
CREATE OR REPLACE FUNCTION guard_status_change_log() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF (OLD.id, OLD.change_seq, OLD.entity_type, OLD.entity_id, OLD.platform_entity_id, OLD.ad_account_id, OLD.user_id,
      OLD.platform, OLD.old_status, OLD.new_status, OLD.source, OLD.metadata, OLD.created_at)
     IS DISTINCT FROM
     (NEW.id, NEW.change_seq, NEW.entity_type, NEW.entity_id, NEW.platform_entity_id, NEW.ad_account_id, NEW.user_id,
      NEW.platform, NEW.old_status, NEW.new_status, NEW.source, NEW.metadata, NEW.created_at)
  THEN
    RAISE EXCEPTION 'a logged status change is never rewritten: only the state of its final sync moves'
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF OLD.final_sync_completed IS DISTINCT FROM NEW.final_sync_completed
     AND NOT (OLD.final_sync_completed IS FALSE AND NEW.final_sync_completed IS TRUE)
     AND NOT (OLD.final_sync_completed IS NULL AND NEW.final_sync_completed IS FALSE)
  THEN
    RAISE EXCEPTION 'a final sync that is % cannot become %',
      CASE WHEN OLD.final_sync_completed THEN 'done' WHEN OLD.final_sync_completed IS NULL THEN 'not needed' ELSE 'owed' END,
      CASE WHEN NEW.final_sync_completed THEN 'done' WHEN NEW.final_sync_completed IS NULL THEN 'not needed' ELSE 'owed' END
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER guard_rewrite BEFORE UPDATE ON ad_status_change_log
  FOR EACH ROW EXECUTE FUNCTION guard_status_change_log();

DO $$
DECLARE
  target regclass;
BEGIN
  FOREACH target IN ARRAY ARRAY['ad_accounts', 'ad_campaigns', 'ad_sets', 'ads', 'ad_metrics',
    'ad_status_change_log', 'ad_account_days', 'ad_entity_parent_changes']::regclass[]
  LOOP
    EXECUTE format('CREATE OR REPLACE TRIGGER guard_delete BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION refuse_deletion()', target);
    EXECUTE format('CREATE OR REPLACE TRIGGER guard_truncate BEFORE TRUNCATE ON %s EXECUTE FUNCTION refuse_deletion()', target);
  END LOOP;
END $$;
