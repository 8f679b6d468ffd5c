-- Account days whose campaigns do not add up to the platform's own total for no known reason.
{{ config(severity='warn') }}
select account, date, state, residual_class, residual_spend_campaign, currency
from {{ source('adsync', 'v_account_completeness') }}
where is_active and adds_up = false and residual_class in ('unexplained', 'not_classified')
