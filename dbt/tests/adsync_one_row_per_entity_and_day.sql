-- Rows that a join on (level, entity_id, date) would multiply.
select level, entity_id, date, count(*) as rows
from {{ source('adsync', 'v_metrics_daily') }}
where date >= current_date - 35
group by level, entity_id, date
having count(*) > 1
