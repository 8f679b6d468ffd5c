-- What every table and column means, for whoever reads it in psql (\d+ ad_metrics).

DO $$
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', current_schema()), true);
  PERFORM set_config('lock_timeout', '15s', true);
END $$;

COMMENT ON TABLE ad_accounts IS 'Ad accounts that are or were synced; one row per platform and account. Never deleted: is_active = false stops syncing.';
COMMENT ON COLUMN ad_accounts.id IS 'Our id; every other table refers to it.';
COMMENT ON COLUMN ad_accounts.user_id IS 'Whom the account belongs to in the surrounding application; copied to its entities and changes.';
COMMENT ON COLUMN ad_accounts.platform IS 'facebook, tiktok or google_ads.';
COMMENT ON COLUMN ad_accounts.platform_account_id IS 'The platform''s id in its canonical spelling, such as act_123.';
COMMENT ON COLUMN ad_accounts.name IS 'The name the platform gave at the latest sync.';
COMMENT ON COLUMN ad_accounts.currency IS 'ISO code of all money of this account; amounts are in its major unit.';
COMMENT ON COLUMN ad_accounts.timezone IS 'IANA zone in which the platform cuts this account''s days.';
COMMENT ON COLUMN ad_accounts.account_status IS 'The platform''s own word or code for the account''s state, raw.';
COMMENT ON COLUMN ad_accounts.is_active IS 'Whether the account is synced.';
COMMENT ON COLUMN ad_accounts.history_start IS 'First account-local day that is kept; set by the first sync, only ever moves back.';
COMMENT ON COLUMN ad_accounts.first_synced_at IS 'End of the first complete sync. Before it, first sights are not logged: that sync reads the whole history anyway.';
COMMENT ON COLUMN ad_accounts.last_synced_at IS 'End of the latest complete sync. A failed one does not move it.';
COMMENT ON COLUMN ad_accounts.last_sync_attempted_at IS 'When a sync last began or ended, complete or not.';
COMMENT ON COLUMN ad_accounts.last_sync_error IS 'Why the latest sync failed; null after a complete one.';
COMMENT ON COLUMN ad_accounts.blocked_reason IS 'Machine-readable word when a person must act (credential, permission, account); else null.';
COMMENT ON COLUMN ad_accounts.blocked_detail IS 'The sentence that goes with blocked_reason.';
COMMENT ON COLUMN ad_accounts.blocked_at IS 'Since when a person must act.';
COMMENT ON COLUMN ad_accounts.created_at IS 'When the row was made.';
COMMENT ON COLUMN ad_accounts.updated_at IS 'When what the platform says of the account last changed.';

-- The three levels share their columns and what they mean.
DO $$
DECLARE
  level record;
  meaning record;
BEGIN
  FOR level IN
    SELECT * FROM (VALUES
      ('ad_campaigns', 'campaign', 'platform_campaign_id'), ('ad_sets', 'ad set', 'platform_ad_set_id'),
      ('ads', 'ad', 'platform_ad_id')) AS levels(tablename, word, id_column)
  LOOP
    EXECUTE format('COMMENT ON TABLE %I IS %L', level.tablename,
      'Every ' || level.word || ' ever seen, deleted ones included; one row per account and platform id. Triggers log each change of its status.');
    EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', level.tablename, level.id_column,
      'The platform''s id of the ' || level.word || ', as text.');
    FOR meaning IN
      SELECT * FROM (VALUES
        ('id', 'Our id; ad_metrics.entity_id and ad_status_change_log.entity_id refer to it.'),
        ('ad_account_id', 'The account it belongs to.'),
        ('user_id', 'Copied from the account.'),
        ('platform', 'Copied from the account.'),
        ('name', 'The name at the latest read that saw a change.'),
        ('status', 'Its own switch, normalised: ACTIVE, PAUSED, ARCHIVED, DELETED, else UNKNOWN.'),
        ('platform_status', 'The switch as the platform spells it. Null with status UNKNOWN: a stub, known from its numbers only.'),
        ('effective_status', 'What really happens to it, parents and reviews included, such as CAMPAIGN_PAUSED. Null means: what status says.'),
        ('platform_created_at', 'When the platform says it was created.'),
        ('platform_updated_at', 'When the platform says it was last changed.'),
        ('unreachable_since', 'Since when the platform neither lists it nor answers for it by id; null while it does. Not a status.'),
        ('extra', 'Budgets, objective and other descriptive fields of the platform.'),
        ('read_started_at', 'Start of the read that last changed this row. A read that started earlier does not replace it.'),
        ('previous_status', 'The status before the latest logged change; the effective one where only that changed.'),
        ('status_changed_at', 'When the latest status change was observed.'),
        ('last_final_sync_at', 'When a final sync of this entity last ended.'),
        ('created_at', 'When the row was made.'),
        ('updated_at', 'When a read last changed the row. Unchanged rows are not written.'),
        ('platform_campaign_id', 'The platform''s id of its campaign, known even where the campaign itself is not.'),
        ('campaign_id', 'Its campaign, where that is known.'),
        ('platform_ad_set_id', 'The platform''s id of its ad set, known even where the ad set itself is not.'),
        ('ad_set_id', 'Its ad set, where that is known.')) AS meanings(columnname, words)
      WHERE meanings.columnname <> level.id_column
    LOOP
      CONTINUE WHEN NOT EXISTS (SELECT FROM pg_attribute
        WHERE attrelid = level.tablename::regclass AND attname = meaning.columnname);
      EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', level.tablename, meaning.columnname, meaning.words);
    END LOOP;
  END LOOP;
END $$;

COMMENT ON TABLE ad_entity_parent_changes IS 'Ad sets and ads that moved to another parent: where they belonged before. Append-only.';
COMMENT ON COLUMN ad_entity_parent_changes.id IS 'Order of observation.';
COMMENT ON COLUMN ad_entity_parent_changes.entity_type IS 'adset or ad.';
COMMENT ON COLUMN ad_entity_parent_changes.entity_id IS 'Our id of the entity that moved.';
COMMENT ON COLUMN ad_entity_parent_changes.ad_account_id IS 'Its account.';
COMMENT ON COLUMN ad_entity_parent_changes.old_platform_campaign_id IS 'Campaign it belonged to.';
COMMENT ON COLUMN ad_entity_parent_changes.new_platform_campaign_id IS 'Campaign it belongs to since.';
COMMENT ON COLUMN ad_entity_parent_changes.old_platform_ad_set_id IS 'Ad set it belonged to (ads only).';
COMMENT ON COLUMN ad_entity_parent_changes.new_platform_ad_set_id IS 'Ad set it belongs to since (ads only).';
COMMENT ON COLUMN ad_entity_parent_changes.changed_at IS 'When the move was observed.';

COMMENT ON TABLE ad_metrics IS 'Numbers per entity and account-local day, as the latest complete read reported them. Each level holds the platform''s own numbers: reach and frequency do not add up over children.';
COMMENT ON COLUMN ad_metrics.date IS 'Calendar day in the account''s time zone.';
COMMENT ON COLUMN ad_metrics.entity_type IS 'campaign, adset or ad: the table entity_id refers to.';
COMMENT ON COLUMN ad_metrics.entity_id IS 'Our id of the campaign, ad set or ad.';
COMMENT ON COLUMN ad_metrics.ad_account_id IS 'The account of the entity.';
COMMENT ON COLUMN ad_metrics.platform IS 'Copied from the account.';
COMMENT ON COLUMN ad_metrics.impressions IS 'Times shown.';
COMMENT ON COLUMN ad_metrics.clicks IS 'All clicks.';
COMMENT ON COLUMN ad_metrics.link_clicks IS 'Clicks that led to the advertiser; null where the platform does not report them.';
COMMENT ON COLUMN ad_metrics.spend IS 'Money spent, in the account''s currency, major unit.';
COMMENT ON COLUMN ad_metrics.reach IS 'People reached on that day; never to be summed.';
COMMENT ON COLUMN ad_metrics.frequency IS 'Times shown per person reached, as reported; never to be summed.';
COMMENT ON COLUMN ad_metrics.conversions IS 'Conversions of the configured action, fractions possible.';
COMMENT ON COLUMN ad_metrics.conversion_value IS 'Value of those conversions, in the account''s currency.';
COMMENT ON COLUMN ad_metrics.extra IS 'What else the platform reported, such as all action types.';
COMMENT ON COLUMN ad_metrics.read_started_at IS 'Start of the complete read that these numbers come from. Only a read that started later replaces them.';
COMMENT ON COLUMN ad_metrics.created_at IS 'When the row was made.';
COMMENT ON COLUMN ad_metrics.updated_at IS 'When the numbers last changed. Unchanged rows are not written.';
COMMENT ON COLUMN ad_metrics.cpc IS 'Spend per click; null without clicks. Derived.';
COMMENT ON COLUMN ad_metrics.cpm IS 'Spend per thousand impressions; null without impressions. Derived.';
COMMENT ON COLUMN ad_metrics.ctr IS 'Clicks per hundred impressions; null without impressions. Derived.';
COMMENT ON COLUMN ad_metrics.roas IS 'Conversion value per unit of spend; null without spend. Derived.';

COMMENT ON TABLE ad_status_change_log IS 'Every status change any read observed, written by triggers in the transaction that changed the status. Append-only; only the state of the final sync moves.';
COMMENT ON COLUMN ad_status_change_log.id IS 'The log id that mark_final_sync_completed takes.';
COMMENT ON COLUMN ad_status_change_log.change_seq IS 'Order of changes. Not an order of commits: never use it as a cursor.';
COMMENT ON COLUMN ad_status_change_log.entity_type IS 'campaign, adset or ad.';
COMMENT ON COLUMN ad_status_change_log.entity_id IS 'Our id of the entity.';
COMMENT ON COLUMN ad_status_change_log.platform_entity_id IS 'The platform''s id of the entity.';
COMMENT ON COLUMN ad_status_change_log.ad_account_id IS 'The account of the entity.';
COMMENT ON COLUMN ad_status_change_log.user_id IS 'Copied from the entity.';
COMMENT ON COLUMN ad_status_change_log.platform IS 'Copied from the entity.';
COMMENT ON COLUMN ad_status_change_log.old_status IS 'Status before; null when the entity was first seen.';
COMMENT ON COLUMN ad_status_change_log.new_status IS 'Status after: the own one, or the effective one where only that changed.';
COMMENT ON COLUMN ad_status_change_log.final_sync_completed IS 'false: a final sync is owed. true: done. null: this change needs none.';
COMMENT ON COLUMN ad_status_change_log.final_sync_completed_at IS 'When it was done.';
COMMENT ON COLUMN ad_status_change_log.final_sync_attempted_at IS 'When the latest attempt ended, well or not.';
COMMENT ON COLUMN ad_status_change_log.final_sync_error IS 'Why the latest attempt failed; null after a good one.';
COMMENT ON COLUMN ad_status_change_log.attempts IS 'Failed attempts so far. No number of them discards the change.';
COMMENT ON COLUMN ad_status_change_log.next_attempt_at IS 'Not to be tried before.';
COMMENT ON COLUMN ad_status_change_log.blocked_reason IS 'Machine-readable word when a person must act; such changes are tried hourly and use up no attempts.';
COMMENT ON COLUMN ad_status_change_log.claim_token IS 'Whoever works on it now. Completing needs this token, so a late twin changes nothing.';
COMMENT ON COLUMN ad_status_change_log.claimed_at IS 'When that work began.';
COMMENT ON COLUMN ad_status_change_log.source IS 'trigger; first_sight: seen for the first time, already stopped; change_history: told by the platform''s own history; safety_net: found by the weekly check.';
COMMENT ON COLUMN ad_status_change_log.metadata IS 'kind (own, effective, ...) and the own and effective statuses before and after.';
COMMENT ON COLUMN ad_status_change_log.created_at IS 'When the change was observed.';

COMMENT ON TABLE ad_account_days IS 'What is known of each account-local day at each level: open, reconciled with the platform''s total, or sealed for good.';
COMMENT ON COLUMN ad_account_days.ad_account_id IS 'The account.';
COMMENT ON COLUMN ad_account_days.date IS 'Calendar day in the account''s time zone.';
COMMENT ON COLUMN ad_account_days.level IS 'campaign, adset or ad.';
COMMENT ON COLUMN ad_account_days.state IS 'open: may be incomplete. reconciled: rows add up to the total, or the difference is explained. sealed: final.';
COMMENT ON COLUMN ad_account_days.read_started_at IS 'Start of the latest complete read that covered this day and level.';
COMMENT ON COLUMN ad_account_days.sealed_at IS 'When the day became final.';
COMMENT ON COLUMN ad_account_days.total_impressions IS 'The platform''s own total of the account.';
COMMENT ON COLUMN ad_account_days.total_clicks IS 'The platform''s own total of the account.';
COMMENT ON COLUMN ad_account_days.total_spend IS 'The platform''s own total of the account.';
COMMENT ON COLUMN ad_account_days.total_conversions IS 'The platform''s own total of the account.';
COMMENT ON COLUMN ad_account_days.total_conversion_value IS 'The platform''s own total of the account.';
COMMENT ON COLUMN ad_account_days.stored_impressions IS 'Sum of our rows of this level.';
COMMENT ON COLUMN ad_account_days.stored_clicks IS 'Sum of our rows of this level.';
COMMENT ON COLUMN ad_account_days.stored_spend IS 'Sum of our rows of this level.';
COMMENT ON COLUMN ad_account_days.stored_conversions IS 'Sum of our rows of this level.';
COMMENT ON COLUMN ad_account_days.stored_conversion_value IS 'Sum of our rows of this level.';
COMMENT ON COLUMN ad_account_days.residual_impressions IS 'Total minus stored: what the platform counts under no entity we know.';
COMMENT ON COLUMN ad_account_days.residual_clicks IS 'Total minus stored.';
COMMENT ON COLUMN ad_account_days.residual_spend IS 'Total minus stored.';
COMMENT ON COLUMN ad_account_days.residual_conversions IS 'Total minus stored.';
COMMENT ON COLUMN ad_account_days.residual_conversion_value IS 'Total minus stored.';
COMMENT ON COLUMN ad_account_days.residual_class IS 'Why the rows do not add up: never_seen_entity, deleted_hidden, no_ad_rows, moving (still being counted) or unexplained.';
COMMENT ON COLUMN ad_account_days.updated_at IS 'When this row last changed.';

COMMENT ON TABLE platform_tokens IS 'Platform credentials, encrypted by adsync before they arrive here.';
COMMENT ON COLUMN platform_tokens.id IS 'Our id.';
COMMENT ON COLUMN platform_tokens.platform IS 'facebook, tiktok or google_ads.';
COMMENT ON COLUMN platform_tokens.platform_account_id IS 'The account the credential is for; null: for every account of the platform without one of its own.';
COMMENT ON COLUMN platform_tokens.key_version IS 'Fingerprint of the key that wraps wrapped_key.';
COMMENT ON COLUMN platform_tokens.wrapped_key IS 'The row''s data key, encrypted.';
COMMENT ON COLUMN platform_tokens.ciphertext IS 'The credential, encrypted with the data key (AES-256-GCM).';
COMMENT ON COLUMN platform_tokens.created_at IS 'When the credential was first stored.';
COMMENT ON COLUMN platform_tokens.updated_at IS 'When it was last replaced.';

COMMENT ON FUNCTION adsync_now() IS 'The time of all stamps: the clock, or the virtual instant a test set in adsync.now.';
COMMENT ON FUNCTION requires_final_sync(text, text) IS 'Whether a step between two statuses owes a final sync.';
COMMENT ON FUNCTION get_entities_needing_final_sync(uuid, text) IS 'The entities of an account that owe a final sync, each with its latest pending change.';
COMMENT ON FUNCTION mark_final_sync_completed(uuid, boolean, text) IS 'Records how a final sync ended; true when it changed anything.';
COMMENT ON FUNCTION ensure_metric_partitions(date, date) IS 'Makes the monthly partitions of ad_metrics that a range of days needs.';
