"""One recipe from alerts to a verdict, and its doors."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .result import Result


def search(alerts: Any, candles: Any, client: Any = None, **settings: Any) -> "Result":
    """Return the run that ``highwater sweep`` makes of these settings: ``notebook.sweep``, and nothing imported before.

    ``alerts`` and ``candles`` are files or tables; settings are the command's flags (``tp="log:1.1:10"``,
    ``horizon="24h"``). ``client``: the workers of this Dask client do the work, to the same digests; it stays open.
    """
    from .notebook import sweep

    return sweep(alerts, candles, client, **settings)
