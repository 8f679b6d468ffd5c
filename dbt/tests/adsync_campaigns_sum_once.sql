-- Days on which a sum over the campaigns is not what the completeness view says is stored: somebody added up levels,
-- or changed rows by hand.
select y.account, y.date, y.stored_spend_campaign, m.spend
from {{ source('adsync', 'v_account_completeness') }} as y
inner join (
    select ad_account_id, date, sum(spend) as spend
    from {{ source('adsync', 'v_metrics_daily_campaign') }}
    where date >= current_date - 35
    group by ad_account_id, date
) as m on m.ad_account_id = y.ad_account_id and m.date = y.date
where y.state <> 'open' and y.stored_spend_campaign <> m.spend
