-- What a project like the seed's has before tracking: uuid ids, status as text, money that rounds,
-- stored rates, no tracking columns; with rows, a view over the metrics, and a view over the view.

CREATE TABLE ad_accounts (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL,
  platform text NOT NULL,
  platform_account_id text NOT NULL,
  account_name text,
  currency text DEFAULT 'USD',
  is_active boolean DEFAULT true,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

CREATE TABLE ad_campaigns (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL,
  ad_account_id uuid NOT NULL REFERENCES ad_accounts (id) ON DELETE CASCADE,
  platform text NOT NULL,
  platform_campaign_id text NOT NULL,
  name text NOT NULL,
  status text NOT NULL,
  objective text,
  daily_budget numeric(10,2),
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now(),
  UNIQUE (ad_account_id, platform_campaign_id)
);

CREATE TABLE ad_sets (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL,
  ad_account_id uuid NOT NULL REFERENCES ad_accounts (id) ON DELETE CASCADE,
  campaign_id uuid NOT NULL REFERENCES ad_campaigns (id) ON DELETE CASCADE,
  platform text NOT NULL,
  platform_ad_set_id text NOT NULL,
  name text NOT NULL,
  status text NOT NULL,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now(),
  UNIQUE (ad_account_id, platform_ad_set_id)
);

CREATE TABLE ads (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL,
  ad_account_id uuid NOT NULL REFERENCES ad_accounts (id) ON DELETE CASCADE,
  ad_set_id uuid NOT NULL REFERENCES ad_sets (id) ON DELETE CASCADE,
  platform text NOT NULL,
  platform_ad_id text NOT NULL,
  name text NOT NULL,
  status text NOT NULL,
  creative jsonb,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

CREATE TABLE ad_metrics (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL,
  entity_type text NOT NULL,
  entity_id uuid NOT NULL,
  date date NOT NULL,
  impressions integer DEFAULT 0,
  clicks integer DEFAULT 0,
  spend numeric(10,2) DEFAULT 0,
  conversions integer DEFAULT 0,
  conversion_value double precision DEFAULT 0,
  reach integer,
  frequency double precision,
  ctr double precision,
  cpc double precision,
  cpm double precision,
  roas double precision,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now(),
  UNIQUE (entity_type, entity_id, date)
);

INSERT INTO ad_accounts (id, user_id, platform, platform_account_id, account_name) VALUES
  ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000f1', 'facebook', 'act_9', 'Old shop');
INSERT INTO ad_campaigns (id, user_id, ad_account_id, platform, platform_campaign_id, name, status, daily_budget) VALUES
  ('00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000f1',
   '00000000-0000-0000-0000-0000000000a1', 'facebook', 'c1', 'Old campaign', 'ACTIVE', 25.50),
  ('00000000-0000-0000-0000-0000000000c2', '00000000-0000-0000-0000-0000000000f1',
   '00000000-0000-0000-0000-0000000000a1', 'facebook', 'c2', 'Paused campaign', 'paused', NULL);
INSERT INTO ad_sets (id, user_id, ad_account_id, campaign_id, platform, platform_ad_set_id, name, status) VALUES
  ('00000000-0000-0000-0000-0000000000d1', '00000000-0000-0000-0000-0000000000f1',
   '00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000c1', 'facebook', 's1', 'Old set', 'ACTIVE');
INSERT INTO ads (id, user_id, ad_account_id, ad_set_id, platform, platform_ad_id, name, status) VALUES
  ('00000000-0000-0000-0000-0000000000e1', '00000000-0000-0000-0000-0000000000f1',
   '00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000d1', 'facebook', 'a1', 'Old ad', 'ACTIVE');
INSERT INTO ad_metrics (user_id, entity_type, entity_id, date, impressions, clicks, spend, conversions, conversion_value,
                        reach, frequency, ctr, cpc, cpm, roas) VALUES
  ('00000000-0000-0000-0000-0000000000f1', 'ad', '00000000-0000-0000-0000-0000000000e1', '2026-02-01',
   1000, 10, 12.34, 2, 50.1, 900, 1.11, 1.0, 1.234, 12.34, 4.06),
  ('00000000-0000-0000-0000-0000000000f1', 'campaign', '00000000-0000-0000-0000-0000000000c1', '2026-02-01',
   1000, 10, 12.34, 2, 50.1, 900, 1.11, 1.0, 1.234, 12.34, 4.06);

CREATE VIEW daily_spend WITH (security_invoker = true) AS
  SELECT date, sum(spend) AS spend, sum(conversion_value) AS value, avg(ctr) AS ctr FROM ad_metrics GROUP BY date;
COMMENT ON VIEW daily_spend IS 'Spend per day';
CREATE VIEW monthly_spend AS
  SELECT date_trunc('month', date) AS month, sum(spend) AS spend FROM daily_spend GROUP BY 1;
GRANT SELECT ON daily_spend TO PUBLIC;
