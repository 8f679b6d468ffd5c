-- Optional: roles with no more rights than they need. Not a migration: whoever owns the database
-- runs it once, as often as they like, after `adsync migrate`:
--
--   psql "$ADSYNC_DATABASE_URL" --file sql/roles.sql
--   CREATE ROLE my_sync LOGIN PASSWORD '...' IN ROLE adsync_writer;
--
-- `adsync migrate` keeps running as the owner of the tables; everything else can run as a member
-- of adsync_writer, dashboards as a member of adsync_reader. Neither can delete, truncate or
-- alter anything, and only adsync_writer sees the (encrypted) credentials.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'adsync_reader') THEN
    CREATE ROLE adsync_reader NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'adsync_writer') THEN
    CREATE ROLE adsync_writer NOLOGIN;
  END IF;
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO adsync_reader, adsync_writer', current_schema());
END $$;

GRANT SELECT ON ad_accounts, ad_campaigns, ad_sets, ads, ad_metrics, ad_status_change_log, ad_account_days,
  ad_entity_parent_changes, ad_account_changes, ad_alerts TO adsync_reader, adsync_writer;
-- The views show nothing that these tables do not: they run with the rights of whoever asks.
GRANT SELECT ON v_metrics_daily, v_metrics_daily_campaign, v_metrics_daily_adset, v_metrics_daily_ad,
  v_account_completeness, v_pending_final_syncs, v_status_changes, v_blocked, v_incomplete_final_syncs,
  v_status_change_activity, v_failed_final_syncs, v_final_sync_performance TO adsync_reader, adsync_writer;

GRANT INSERT, UPDATE ON ad_accounts, ad_campaigns, ad_sets, ads, ad_metrics, ad_status_change_log, ad_account_days,
  ad_alerts TO adsync_writer;
-- A credential is the one thing that is deleted: adsync accounts remove.
GRANT SELECT, INSERT, UPDATE, DELETE ON platform_tokens TO adsync_writer;
-- Asked at every start: does the program fit the database?
GRANT SELECT ON _yoyo_migration TO adsync_writer;
GRANT EXECUTE ON FUNCTION ensure_metric_partitions(date, date) TO adsync_writer;
