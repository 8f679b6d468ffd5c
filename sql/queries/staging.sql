-- Temporary tables that a read is copied into, page by page, before one merge.

-- create_entity_stage --
-- Holds what one read of a level saw. Temporary: nobody else sees it, it writes no WAL.
CREATE TEMPORARY TABLE IF NOT EXISTS {stage} (
  platform_id text NOT NULL,
  platform_campaign_id text,
  platform_ad_set_id text,
  name text,
  status text NOT NULL,
  platform_status text,
  effective_status text,
  platform_created_at timestamptz,
  platform_updated_at timestamptz,
  extra jsonb,
  -- Which of several rows of one entity was read last.
  position bigint NOT NULL
) ON COMMIT PRESERVE ROWS

-- clear_entity_stage --
-- Empties the stage and gives its space back.
TRUNCATE pg_temp.{stage}

-- empty_entity_stage --
-- Empties a stage of few rows at a tenth of the cost, since the table keeps its files.
DELETE FROM pg_temp.{stage}

-- copy_entities --
-- Takes one page of entities.
COPY pg_temp.{stage} (platform_id, platform_campaign_id, platform_ad_set_id, name, status, platform_status,
                      effective_status, platform_created_at, platform_updated_at, extra, position) FROM STDIN

-- analyze_entity_stage --
-- Tells the planner how much there is.
ANALYZE pg_temp.{stage} (platform_id)

-- create_metrics_stage --
-- Holds the daily numbers of one read, in the order of records.DailyMetrics, and which of several
-- rows of one entity and day was read last.
CREATE TEMPORARY TABLE IF NOT EXISTS stage_metrics (
  entity_type text NOT NULL,
  platform_id text NOT NULL,
  date date NOT NULL,
  platform_campaign_id text,
  platform_ad_set_id text,
  impressions bigint NOT NULL,
  clicks bigint NOT NULL,
  link_clicks bigint,
  spend numeric(18,6) NOT NULL,
  reach bigint,
  frequency numeric,
  conversions numeric(18,6) NOT NULL,
  conversion_value numeric(18,6) NOT NULL,
  extra jsonb,
  position bigint NOT NULL,
  -- Postgres takes NaN for a number; a sum would never get rid of it.
  CHECK (spend + conversions + conversion_value <> 'NaN')
) ON COMMIT PRESERVE ROWS

-- clear_metrics_stage --
-- Empties the stage and gives its space back.
TRUNCATE pg_temp.stage_metrics

-- empty_metrics_stage --
-- Empties a stage of few rows at a tenth of the cost, since the table keeps its files.
DELETE FROM pg_temp.stage_metrics

-- copy_metrics --
-- Takes one page of daily numbers.
COPY pg_temp.stage_metrics FROM STDIN

-- analyze_metrics_stage --
-- Tells the planner how much there is.
ANALYZE pg_temp.stage_metrics (entity_type, platform_id, date)
