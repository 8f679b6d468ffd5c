"""One partition per ad account; the key is `platform:platform_account_id`.

Keys are added when an account appears in the warehouse and are never deleted: a run in flight
would fail on a key that is gone, and the history under it would go dark. An account that is
removed is deactivated in the warehouse, and schedules and sensors leave its key alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

AD_ACCOUNTS = dg.DynamicPartitionsDefinition(name="ad_account")
AD_ACCOUNTS_NAME = "ad_account"


def ensure_partitions(instance: dg.DagsterInstance, account_keys: Iterable[str]) -> list[str]:
    """Add the keys that are missing and return all keys in insertion order.

    Safe to call from several ticks at once: adding a key that is there changes nothing.
    """
    known = instance.get_dynamic_partitions(AD_ACCOUNTS_NAME)
    missing = sorted(set(account_keys) - set(known))
    if not missing:
        return list(known)
    instance.add_dynamic_partitions(AD_ACCOUNTS_NAME, missing)
    return list(instance.get_dynamic_partitions(AD_ACCOUNTS_NAME))
