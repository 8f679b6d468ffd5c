"""The only package with sockets: drives an adapter's reads against a platform, tells people.

`client` runs reads (retries, budget, reading ahead), `exchange` makes one bounded HTTP
exchange, `origin` decides which address may be spoken to, `budget` shares what the
platform's usage headers ask for between threads.
"""

from adsync_dagster.transport.budget import RateBudget
from adsync_dagster.transport.client import Ordered, PlatformClient, SendsRequests
from adsync_dagster.transport.limits import TransportLimits

__all__ = ["Ordered", "PlatformClient", "RateBudget", "SendsRequests", "TransportLimits"]
