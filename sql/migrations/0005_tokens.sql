-- Platform credentials, encrypted before they arrive here. The database never sees a token, a
-- data key or the key that wraps it: a dump of this table is of no use to anybody.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

CREATE TABLE IF NOT EXISTS platform_tokens (
  id uuid PRIMARY KEY DEFAULT adsync_new_id(),
  platform text NOT NULL,
  platform_account_id text,
  key_version integer NOT NULL,
  wrapped_key bytea NOT NULL,
  ciphertext bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT adsync_now(),
  updated_at timestamptz NOT NULL DEFAULT adsync_now(),
  UNIQUE NULLS NOT DISTINCT (platform, platform_account_id)
);
REVOKE ALL ON platform_tokens FROM PUBLIC;

-- Hosted databases often grant every new table and function of the schema to their web roles.
DO $$
DECLARE
  web_role text;
BEGIN
  FOR web_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
    EXECUTE format('REVOKE ALL ON platform_tokens FROM %I', web_role);
    EXECUTE format('REVOKE ALL ON FUNCTION ensure_metric_partitions(date, date) FROM %I', web_role);
  END LOOP;
END $$;
