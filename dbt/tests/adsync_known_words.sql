-- Words that models branch on and that the documentation does not know.
select 'v_metrics_daily.level' as what, level as word
from {{ source('adsync', 'v_metrics_daily') }}
where date >= current_date - 35 and level not in ('campaign', 'adset', 'ad')
union all
select 'v_metrics_daily.day_state', day_state
from {{ source('adsync', 'v_metrics_daily') }}
where date >= current_date - 35 and day_state not in ('open', 'reconciled', 'sealed')
union all
select 'v_account_completeness.state', state
from {{ source('adsync', 'v_account_completeness') }}
where state not in ('open', 'reconciled', 'sealed')
union all
select 'v_status_changes.final_sync', final_sync
from {{ source('adsync', 'v_status_changes') }}
where observed_at >= current_timestamp - interval '35 days' and final_sync not in ('owed', 'done', 'not_needed')
