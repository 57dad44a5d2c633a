"""Path metrics of every alert, as columns of truth/paths.parquet."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io import schemas
from ..io.columns import bar_name
from ..kernels import arrays
from .recipe import Prepared

DEFAULT_MULTIPLES = (1.2, 1.5)  # beside those of schemas.MULTIPLES, which are always there
_FRACTIONS = "dd_overall dd_initial dd_initial_opt dd_after_ath dd_after_ath_opt mdd mdd_opt peak_close_mult coverage"


def path_columns(prepared: Prepared, extra: tuple[float, ...], threads: int | None) -> dict[str, Any]:
    """Return the columns of ``schemas.paths(extra)`` but ``run_id``: one row an alert, masked where undefined.

    Fractions are dimensionless, times ms after the entry (SEMANTICS section 2).
    """
    from ..kernels.jit import threads as on
    from ..kernels.paths import measure_all

    multiples = tuple(sorted({*schemas.MULTIPLES, *extra}))
    windows, alerts, gone = prepared.windows, prepared.alerts, ~prepared.ok
    with on(threads):
        paths, touches = measure_all(
            prepared.slice.candles, windows, prepared.asked, prepared.step, arrays.column(multiples)
        )

    def known(values: Any, missing: Any = False) -> Any:
        return np.ma.array(values, mask=gone | missing | (values != values))

    def whole(values: NDArray[np.int64]) -> Any:
        return known(values, values < 0)

    found = {
        **{name: alerts[name] for name in ("call_id", "caller_name", "mint", "chain", "alert_ts_ms")},
        "interval": bar_name(prepared.step),
        "p0": known(windows.price),
        "dd_bps": known(paths["dd_overall"] * 10000),
        "dd_to_2x_bps": known(touches["dd_pre"][:, multiples.index(2.0)] * 10000),
        "peak_multiple": known(paths["ath_mult"]),
        "ath_mult": known(paths["ath_mult"]),
        "ret_end_bps": known(paths["ret_end"] * 10000),
        "entry_ts_ms": known(windows.ts),
        "alert_to_entry_ms": known(windows.ts - alerts["alert_ts_ms"].to_numpy()),
        "flags": [flag_text(flags) for flags in windows.flags.tolist()],
        "status": prepared.status,
        **{name: known(paths[name]) for name in (*_FRACTIONS.split(), "recovered", "stale", "censored")},
        **{name: whole(paths[name]) for name in ("n_bars", "t_ath_ms", "t_recovery_ms", "max_gap_ms")},
        "alert_to_activity_ms": whole(paths["alert_to_activity_ms"]),
    }
    for j, multiple in enumerate(multiples):
        k, touch = schemas.multiple_name(multiple), touches[:, j]
        found[f"hit_{k}"] = known(touch["hit"])
        found[f"t_{k}_ms"], found[f"t_{k}_lo_ms"] = whole(touch["t_ms"]), whole(touch["t_lo_ms"])
        for name in ("dd_pre", "dd_after"):
            found[f"{name}_{k}"], found[f"{name}_{k}_opt"] = known(touch[name]), known(touch[f"{name}_opt"])
        found[f"dd_pre_{k}_or_horizon"] = known(np.where(touch["hit"], touch["dd_pre"], paths["dd_overall"]))
    return found


def flag_text(flags: int) -> str:
    """Return the names of the flags set in ``flags``, separated by commas."""
    return ",".join(name for i, name in enumerate(arrays.FLAGS) if flags >> i & 1)
