"""What a platform's usage headers ask for, shared by the threads that use one quota."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from adsync_dagster.clock import Clock
from adsync_dagster.errors import PlatformBusy


class RateBudget:
    """Nobody calls before the instant any of its users was told to wait for.

    One budget belongs to one account (or one app): calls that are refused still count
    against the quota, so all threads have to stop together.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._until: datetime | None = None

    def hold(self, clock: Clock, seconds: float) -> None:
        """Nobody may call for that long; a longer hold that is already there stays."""
        if seconds <= 0:
            return
        until = clock.now() + timedelta(seconds=seconds)
        with self._guard:
            if self._until is None or until > self._until:
                self._until = until

    def wait(self, clock: Clock, seconds_max: float) -> None:
        """Wait out the hold; PlatformBusy with what is left of it when that is too long."""
        until = self._until
        if until is None:
            return
        left = (until - clock.now()).total_seconds()
        if left > seconds_max:
            raise PlatformBusy(
                f"the platform's quota is used up for another {left:.0f} s",
                retry_after_seconds=left,
            )
        if left > 0:
            clock.sleep(left)
        with self._guard:
            # A virtual clock does not move while it sleeps, so a hold ends by being waited for.
            if self._until == until:
                self._until = None
