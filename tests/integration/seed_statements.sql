-- The statements that the seed document prints for testing and monitoring, word for word.

-- update_a_campaign_status --
-- Update a campaign status
UPDATE ad_campaigns
SET status = 'PAUSED'
WHERE platform_campaign_id = 'test_campaign_123';

-- check_if_logged --
-- Check if logged
SELECT * FROM ad_status_change_log
WHERE platform_entity_id = 'test_campaign_123'
ORDER BY created_at DESC LIMIT 1;

-- verify_completeness --
-- Check for any incomplete final syncs
SELECT
  entity_type,
  COUNT(*) as pending_count,
  MAX(created_at) as oldest_pending
FROM ad_status_change_log
WHERE final_sync_completed = false
  AND old_status IN ('ACTIVE', 'active')
  AND new_status IN ('PAUSED', 'paused', 'DELETED', 'deleted')
GROUP BY entity_type;

-- status_change_activity --
SELECT
  DATE(created_at) as date,
  entity_type,
  old_status,
  new_status,
  COUNT(*) as transitions,
  SUM(CASE WHEN final_sync_completed THEN 1 ELSE 0 END) as completed,
  SUM(CASE WHEN NOT final_sync_completed THEN 1 ELSE 0 END) as pending
FROM ad_status_change_log
WHERE created_at >= NOW() - INTERVAL '7 days'
GROUP BY DATE(created_at), entity_type, old_status, new_status
ORDER BY date DESC;

-- failed_final_syncs --
SELECT
  entity_type,
  platform_entity_id,
  old_status,
  new_status,
  final_sync_error,
  final_sync_attempted_at,
  created_at
FROM ad_status_change_log
WHERE final_sync_completed = false
  AND final_sync_attempted_at IS NOT NULL
ORDER BY created_at DESC;

-- performance_metrics --
SELECT
  entity_type,
  COUNT(*) as total_transitions,
  AVG(EXTRACT(EPOCH FROM (final_sync_attempted_at - created_at))) as avg_seconds_to_sync,
  COUNT(CASE WHEN final_sync_error IS NOT NULL THEN 1 END) as error_count
FROM ad_status_change_log
WHERE final_sync_completed = true
  AND created_at >= NOW() - INTERVAL '30 days'
GROUP BY entity_type;
