-- ad_status_change_log: pending final syncs, claiming them, and recording how they ended.
--
-- "WHERE NOT final_sync_completed" is spelled like the partial indexes spell it, always: any
-- other form, and any bound parameter in its place, reads the whole log.

-- get_entities_needing_final_sync --
-- The entities of an account that owe a final sync, each with its latest pending change.
SELECT log_id, entity_type, entity_id, platform_entity_id, old_status, new_status, created_at, attempts, blocked_reason
  FROM get_entities_needing_final_sync(%(ad_account_id)s, %(entity_type)s)
 WHERE entity_type IN ('campaign', 'adset', 'ad') AND platform_entity_id IS NOT NULL

-- mark_final_sync_completed --
-- Records how one final sync ended, by hand or from another program.
SELECT mark_final_sync_completed(%(log_id)s, %(success)s, %(error)s)

-- set_aside_unreadable --
-- Due changes that nothing can be read for: of no known kind, or of an entity without an id that
-- the platform could have given (:id_forms, a regular expression per kind). An adopted database
-- may hold such rows. They wait for a person, and are looked at again every hour.
WITH due AS MATERIALIZED (
  SELECT l.id, l.entity_type,
         coalesce(l.platform_entity_id,
                  CASE l.entity_type
                    WHEN 'campaign' THEN (SELECT t.platform_campaign_id FROM ad_campaigns t WHERE t.id = l.entity_id)
                    WHEN 'adset' THEN (SELECT t.platform_ad_set_id FROM ad_sets t WHERE t.id = l.entity_id)
                    WHEN 'ad' THEN (SELECT t.platform_ad_id FROM ads t WHERE t.id = l.entity_id) END) AS platform_id
    FROM ad_status_change_log l
   WHERE NOT final_sync_completed AND l.ad_account_id = %(ad_account_id)s AND l.next_attempt_at <= adsync_now()
)
UPDATE ad_status_change_log l
   SET blocked_reason = 'unreadable', next_attempt_at = adsync_now() + interval '1 hour',
       final_sync_attempted_at = adsync_now(), claim_token = NULL, claimed_at = NULL,
       final_sync_error = CASE
         WHEN due.entity_type IS NULL OR due.entity_type NOT IN ('campaign', 'adset', 'ad')
         THEN format('its entity_type is %%L, not campaign, adset or ad', due.entity_type)
         WHEN due.platform_id IS NULL THEN format('its %%s has no id of the platform', due.entity_type)
         ELSE format('the id of its %%s, %%L, is none that the platform could have given', due.entity_type,
                     left(due.platform_id, 40)) END
         || '; when nothing is owed, mark it done: SELECT mark_final_sync_completed(''' || l.id || ''')'
  FROM due
 WHERE NOT l.final_sync_completed AND l.id = due.id
   AND (due.platform_id ~ ('^(' || (%(id_forms)s::jsonb ->> due.entity_type) || ')$')) IS NOT TRUE

-- claim_pending --
-- Takes the account's due pending changes, oldest first, or those of one entity. Whoever claims later takes them over:
-- the earlier holder's token then completes nothing.
WITH due AS MATERIALIZED (
  SELECT id FROM ad_status_change_log
   WHERE NOT final_sync_completed AND ad_account_id = %(ad_account_id)s AND next_attempt_at <= adsync_now()
     AND (%(level)s::text IS NULL OR (entity_type, platform_entity_id) = (%(level)s, %(platform_id)s))
   ORDER BY change_seq
   LIMIT %(limit)s
   FOR UPDATE SKIP LOCKED
), claimed AS (
  UPDATE ad_status_change_log l
     SET claim_token = %(claim_token)s, claimed_at = adsync_now()
    FROM due
   WHERE l.id = due.id
  RETURNING l.change_seq, l.id, l.entity_type, l.entity_id,
            -- A row from before may lack it; its entity tells.
            coalesce(l.platform_entity_id,
                     CASE l.entity_type
                       WHEN 'campaign' THEN (SELECT t.platform_campaign_id FROM ad_campaigns t WHERE t.id = l.entity_id)
                       WHEN 'adset' THEN (SELECT t.platform_ad_set_id FROM ad_sets t WHERE t.id = l.entity_id)
                       ELSE (SELECT t.platform_ad_id FROM ads t WHERE t.id = l.entity_id) END) AS platform_entity_id,
            l.old_status, l.new_status, l.created_at, l.attempts, l.blocked_reason
)
SELECT id, entity_type, entity_id, platform_entity_id, old_status, new_status, created_at, attempts, blocked_reason
  FROM claimed ORDER BY change_seq

-- complete_changes --
-- Settles claimed changes and stamps their entities. A token that is no longer the row's own
-- changes nothing, and neither does a second completion.
WITH moment AS MATERIALIZED (
  SELECT adsync_now() AS now
), done AS (
  UPDATE ad_status_change_log l
     SET final_sync_completed = true, final_sync_completed_at = moment.now, final_sync_attempted_at = moment.now,
         final_sync_error = NULL, blocked_reason = NULL, claim_token = NULL, claimed_at = NULL
    FROM moment
   WHERE NOT l.final_sync_completed AND l.id = ANY (%(log_ids)s) AND l.claim_token = %(claim_token)s
  RETURNING l.entity_type, l.entity_id
), campaigns AS (
  UPDATE ad_campaigns t SET last_final_sync_at = moment.now FROM moment
   WHERE t.id IN (SELECT entity_id FROM done WHERE entity_type = 'campaign')
), ad_sets_stamped AS (
  UPDATE ad_sets t SET last_final_sync_at = moment.now FROM moment
   WHERE t.id IN (SELECT entity_id FROM done WHERE entity_type = 'adset')
), ads_stamped AS (
  UPDATE ads t SET last_final_sync_at = moment.now FROM moment
   WHERE t.id IN (SELECT entity_id FROM done WHERE entity_type = 'ad')
)
SELECT count(*) FROM done

-- record_failure --
-- Puts claimed changes off after a failure: twice as long each time, at most six hours, with a
-- quarter of jitter so that accounts do not come back in step. What is blocked waits an hour and
-- uses up no attempt. There is no last attempt.
UPDATE ad_status_change_log
   SET final_sync_attempted_at = adsync_now(), final_sync_error = %(error)s, blocked_reason = %(blocked_reason)s,
       attempts = attempts + CASE WHEN %(blocked_reason)s::text IS NULL THEN 1 ELSE 0 END,
       next_attempt_at = adsync_now() + greatest(
         make_interval(secs => %(retry_after_seconds)s),
         (0.75 + random() * 0.5) *
         CASE WHEN %(blocked_reason)s::text IS NULL
              THEN least(interval '6 hours', interval '1 minute' * power(2, least(attempts, 9)))
              ELSE interval '1 hour' END),
       claim_token = NULL, claimed_at = NULL
 WHERE NOT final_sync_completed AND id = ANY (%(log_ids)s) AND claim_token = %(claim_token)s

-- release_changes --
-- Gives claimed changes back untouched: they are due at once.
UPDATE ad_status_change_log
   SET claim_token = NULL, claimed_at = NULL
 WHERE NOT final_sync_completed AND claim_token = %(claim_token)s
   AND (%(log_ids)s::uuid[] IS NULL OR id = ANY (%(log_ids)s))

-- pending_summary --
-- What is owed, per active account: the sensor's whole question. Late commits simply appear here.
-- Blocked changes, and those of a blocked account, are due as well when their hour is over: a
-- person may have acted. `failed` waits for its next attempt, and nothing blocks it.
SELECT a.platform || ':' || a.platform_account_id AS account_key, count(*) AS pending,
       count(*) FILTER (WHERE l.next_attempt_at <= adsync_now()) AS due,
       count(*) FILTER (WHERE l.blocked_reason IS NOT NULL OR a.blocked_reason IS NOT NULL) AS blocked,
       count(*) FILTER (WHERE l.blocked_reason IS NULL AND a.blocked_reason IS NULL
                          AND l.next_attempt_at > adsync_now()) AS failed,
       min(l.created_at) AS oldest, max(l.change_seq) AS max_seq, max(l.attempts) AS max_attempts
  FROM ad_status_change_log l
  JOIN ad_accounts a ON a.id = l.ad_account_id
 WHERE NOT final_sync_completed AND a.is_active
 GROUP BY a.id
 ORDER BY min(l.change_seq)

-- log_hint --
-- A change that the platform's own history tells of and no read saw: a state passed through
-- between two reads. Logged once; it owes nothing by itself unless it ends in a stop.
INSERT INTO ad_status_change_log (entity_type, entity_id, platform_entity_id, ad_account_id, user_id, platform,
                                  old_status, new_status, final_sync_completed, source, metadata)
SELECT %(level)s, t.id, t.{platform_id}, t.ad_account_id, t.user_id, t.platform, %(old_status)s, %(new_status)s,
       CASE WHEN requires_final_sync(%(old_status)s, %(new_status)s) THEN false END, 'change_history',
       jsonb_build_object('kind', 'hint', 'occurred_at', %(occurred_at)s::timestamptz, 'raw', %(raw)s::jsonb)
  FROM {entities} t
 WHERE t.ad_account_id = %(ad_account_id)s AND t.{platform_id} = %(platform_entity_id)s
   AND NOT EXISTS (
     SELECT FROM ad_status_change_log l
      WHERE l.entity_type = %(level)s AND l.entity_id = t.id
        AND ((l.source = 'change_history' AND (l.metadata->>'occurred_at')::timestamptz = %(occurred_at)s
              AND l.new_status IS NOT DISTINCT FROM %(new_status)s)
          -- Whoever was first seen stopped was seen after this very step. Where the history has one
          -- word for all that is off, a switch that a read saw go to any of it, or come back from any
          -- of it, did so once.
          OR (l.source <> 'change_history' AND (l.new_status = %(new_status)s
                OR (NOT %(exact)s AND l.metadata->>'kind' = 'own'
                    AND NOT (is_delivering(l.new_status) OR is_delivering(%(new_status)s))))
              AND (l.old_status IS NOT DISTINCT FROM %(old_status)s OR l.source = 'first_sight'
                OR (NOT %(exact)s AND l.metadata->>'kind' = 'own'
                    AND NOT (is_delivering(l.old_status) OR is_delivering(%(old_status)s))))
              AND l.created_at BETWEEN %(occurred_at)s AND %(occurred_at)s + %(poll_gap)s::interval)))
