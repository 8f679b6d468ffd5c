-- Platforms may come from any package, so the columns no longer mean three of them. Comments only.

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

COMMENT ON COLUMN ad_accounts.platform IS 'The platform''s key: facebook, tiktok, google_ads, or that of an installed package (adsync platforms lists them).';
COMMENT ON COLUMN platform_tokens.platform IS 'The platform''s key, as in ad_accounts.';
