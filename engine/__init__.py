"""One recipe from alerts to a verdict, and its doors."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import Outcome


def search(alerts: Any, candles: Any, client: Any = None, **settings: Any) -> "Outcome":
    """Return what ``highwater sweep`` finds with these settings, published in ``runs`` as its run.

    ``alerts`` and ``candles`` are paths; settings are the flags of the command with underscores, their values as there
    (``tp="log:1.1:10"``, ``horizon="24h"``, ``holdout=0.2``). ``client``: the workers of this Dask client do the work,
    to the same digests; it stays open. Raises what the command would print.
    """
    from .searching import search

    return search(alerts, candles, client, **settings)
