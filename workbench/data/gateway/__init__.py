"""The one way to every vendor: `Gateway` asks, `Vendor` and `Limit` say how politely, `Answer` is what came."""

from workbench.data.gateway.answer import Answer
from workbench.data.gateway.gateway import Gateway
from workbench.data.gateway.vendor import Vendor
from workbench.store.vendor_budget import Limit

__all__ = ["Answer", "Gateway", "Limit", "Vendor"]
