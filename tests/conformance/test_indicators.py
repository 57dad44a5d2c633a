"""Every indicator table and case beside the checkout: each column published, held against ours.

Lean's come from spreadsheets and charting tools, StockCharts' from its worked examples, Jesse's from its tests, Haas'
from the platform's own chart, and one from TA-Lib 0.8.1. Tolerances are half the last digit that was published, where
nothing else is said. What a table does otherwise than we is said in its row.
"""

import functools
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.kernels.adaptive import mama
from highwater.kernels.averages import deviation, ema, highest, lowest, rma, sma
from highwater.kernels.channels import bollinger, donchian, ichimoku, parabolic_sar, shifted
from highwater.kernels.oscillators import cci, macd, mfi, momentum, roc, rsi, stochastic, williams_r
from highwater.kernels.ranges import atr, true_range
from highwater.kernels.trends import directional, heikin_ashi, moves
from highwater.kernels.volumes import obv, session_vwap, vwap
from shared_market import DATA, document, needs_data

pytestmark = needs_data
INPUTS = {"ts", "date", "unnamed_0", "open", "high", "low", "close", "volume"}
EXACT = 1e-11  # of prices up to 50,000: rounding
NOT_INDICATORS = {
    ("haas_madhatter_sol_1m", "exp_stop_loss_line"): "a level of one trade: its entry times 0.92",
    ("haas_madhatter_sol_1m", "exp_take_profit_line"): "a level of one trade: its entry times 1.12",
}


class Row(NamedTuple):
    """Our line for a published column, how near it must be, and from which row on (None: from the first published)."""

    line: np.ndarray
    within: float = EXACT
    since: int = 0


class Table:
    """The columns of a published table: ``o``, ``h``, ``l``, ``c``, ``v``, and any by its name, as floats."""

    def __init__(self, path):
        table = pq.read_table(DATA / "conformance" / path)
        self.size, self.names, self.columns = table.num_rows, table.column_names, {}
        for name, column in zip(self.names, table.columns, strict=True):
            if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
                self.columns[name] = column.cast(pa.float64()).to_numpy()

    def __getitem__(self, name):
        return self.columns[name]

    def __getattr__(self, letter):
        return self.columns[next(n for n in ("open", "high", "low", "close", "volume") if n[0] == letter)]


def standing(x, k, of):
    """Return ``of`` the series as if its first value had stood for ``k`` candles before, without those."""
    found = of(np.concatenate([np.full(k, x[0]), x]))
    return found[k:] if isinstance(found, np.ndarray) else tuple(line[k:] for line in found)


def parts(x):
    """Return (gains, losses) of a series; NaN for its first."""
    change = momentum(x, 1)
    return np.where(change < 0, 0, change), np.where(change > 0, 0, -change)


def from_high_low(t, n):
    """Return ATR as those seed it who take high - low for the first true range: as if a candle had stood before."""
    h, l, c = (np.concatenate([column[:1], column]) for column in (t.h, t.l, t.c))
    return atr(h, l, c, n)[1:]


def wilders(t):
    """Return the columns of a worked ADX sheet, in the order of its columns."""
    plus, minus, adx = directional(t.h, t.l, t.c, 14)
    up, down = moves(t.h, t.l)
    one = (true_range(t.h, t.l, t.c), up, down)
    sums = (14 * atr(t.h, t.l, t.c, 14), 14 * rma(up, 14), 14 * rma(down, 14))
    apart, both = abs(plus - minus), plus + minus
    return (*one, *sums, plus, minus, apart, both, 100 * apart / both, adx)


def sma_ema_macd_rsi_obv(t):
    gain, loss = (sma(part, 14) for part in parts(t.c))
    return {
        "exp_sma14": Row(sma(t.c, 14), 6e-3),
        "exp_ema14": Row(ema(t.c, 14), 6e-3),
        "exp_macd_12_26": Row(macd(t.c, 12, 26, 9)[0], 2e-4),
        "exp_rsi_14_wilder": Row(rsi(t.c, 14), 5e-6),
        # Cutler's: simple averages, which are ours too.
        "exp_rsi_14": Row(100 * gain / (gain + loss), 3e-4),
        # No volume published: that of each candle is how far the column went. Whether up or down is ours.
        "exp_obv": Row(obv(t.c, np.abs(np.nan_to_num(momentum(np.nan_to_num(t["exp_obv"]), 1))))),
    }


def bollinger_20_2(t):
    lower, middle, upper = bollinger(t.c, 20, 2.0)
    return {
        "exp_moving_average_20": Row(middle),
        "exp_bollinger_bands_20_2_top": Row(upper, 6.1e-5),
        "exp_bollinger_bands_20_2_bottom": Row(lower, 6.1e-5),
        "exp_bandwidth": Row(100 * (upper - lower) / middle, 1.1e-4),
        "exp_b": Row((t.c - lower) / (upper - lower), 6.4e-5),
    }


def atr_14_wilder(t):
    return {"exp_average_true_range_14": Row(from_high_low(t, 14), 5.1e-6)}


def macd_12_26_9(t):
    names = ("exp_macd", "exp_signal", "exp_histogram")
    return {name: Row(line, 6e-6) for name, line in zip(names, macd(t.c, 12, 26, 9), strict=True)}


def adx_14(t):
    lines = dict(zip(t.names[5:], wilders(t), strict=False))
    fine = {"exp_plus_di14", "exp_minus_di14", "exp_adx_14"}
    adx = lines["exp_adx_14"]
    return {name: Row(line, 5.1e-5 if name in fine else 5.1e-3) for name, line in lines.items()} | {
        "exp_adxr_14": Row((adx + shifted(adx, 13)) / 2, 5.1e-5)
    }


def ichimoku_9_26_52(t):
    conversion, base, a, b = ichimoku(t.h, t.l, 9, 26, 52)
    lower, _, upper = donchian(t.h, t.l, 52)
    lagging = np.concatenate([t.c[26:], np.full(26, np.nan)])
    lowest_line = functools.reduce(np.fmin, (conversion, base, a, b, lagging))
    return {
        "exp_tenkanmaximum": Row(highest(t.h, 9)),
        "exp_tenkanminimum": Row(lowest(t.l, 9)),
        "exp_tenkan": Row(conversion),
        "exp_kijunmaximum": Row(highest(t.h, 26)),
        "exp_kijunminimum": Row(lowest(t.l, 26)),
        "exp_kijun": Row(base),
        "exp_delayedtenkansenkoua": Row(shifted(conversion, 26)),
        "exp_delayedkijunsenkoua": Row(shifted(base, 26)),
        "exp_senkou_a": Row(a),
        "exp_senkoubmaximum": Row(upper),
        "exp_senkoubminimum": Row(lower),
        "exp_delayedmaximumsenkoub": Row(shifted(upper, 26)),
        "exp_delayedminimumsenkoub": Row(shifted(lower, 26)),
        "exp_senkou_b": Row(b),
        # The lowest of the five lines drawn at a candle, the close of 26 later among them; had candles before.
        "exp_ichimoku_cloud": Row(lowest_line, since=77),
    }


def keltner_20(t):
    """Its own: the mean of typical prices and 1.5 times the mean true range; the first true range is high - low."""
    middle = sma((t.h + t.l + t.c) / 3, 20)
    reach = true_range(t.h, t.l, t.c)
    reach[0] = t.h[0] - t.l[0]
    reach = 1.5 * sma(reach, 20)
    return {
        "exp_keltner_channels_20_top": Row(middle + reach, 1.2e-4),
        "exp_keltner_channels_20_bottom": Row(middle - reach, 1.2e-4),
        "exp_middle_band": Row(middle, 6e-5),
        "exp_typicalprice": Row((t.h + t.l + t.c) / 3, 5e-5),
    }


def donchian_50(t):
    """Until it is warm, its channel is of the candles there are: as if the first had stood before."""
    upper, lower = (standing(x, 49, lambda x, of=of: of(x, 50)) for x, of in ((t.h, highest), (t.l, lowest)))
    lines = donchian(t.h, t.l, 50)
    assert all(np.array_equal(a[49:], b[49:]) for a, b in ((lines[0], lower), (lines[2], upper)))
    rows = {"top": upper, "bottom": lower, "mean": (upper + lower) / 2}
    return {f"exp_donchian_channels_50_{name}": Row(line) for name, line in rows.items()}


def stoch_12_3_5(t):
    k, d = stochastic(t.h, t.l, t.c, 12, 3, 5)
    return {"exp_stochastics_12_k_3": Row(k, 4e-4), "exp_d_5": Row(d, 3e-4)}


def obv_(t):
    return {"exp_obv": Row(obv(t.c, t.v), 1.4e3)}  # of billions, to seven digits


def heikin_ashi_(t):
    lines = zip(("open", "high", "low", "close"), heikin_ashi(t.o, t.h, t.l, t.c), strict=True)
    return {f"exp_ha_{name}": Row(line, 5.1e-8) for name, line in lines}


def vwap_50(t):
    return {"exp_moving_vwap_50": Row(vwap((t.o + t.h + t.l + t.c) / 4, t.v, 50), 6e-5)}


def roc_50(t):
    return {"exp_rate_of_change_50": Row(momentum(t.c, 50), 1.6e-5)}


def ema_14(t):
    return {"exp_ema14": Row(ema(t.c, 14))}


def true_range_(t):
    return {"exp_tr": Row(true_range(t.h, t.l, t.c))}


def rma_5(t):
    """The columns of 5 and 15 are named the wrong way round; the last is Lean's "relative moving average" of the three,
    not Wilder's. Had candles before."""
    five, ten, fifteen = (sma(t.c, n) for n in (5, 10, 15))
    return {
        "exp_sma5": Row(fifteen, 5e-8, 14),
        "exp_sma10": Row(ten, since=9),
        "exp_sma15": Row(five, since=4),
        "exp_rma5": Row(fifteen + five - ten, 5e-8, 14),
    }


def sc_rsi_14(t):
    """Its averages begin with 0 at the first candle, not with a mean: as if the first price had stood before."""
    gain, loss = parts(t.c)
    means = [rma(np.concatenate([np.zeros(14), part[1:]]), 14)[13:] for part in (gain, loss)]
    return {
        "change": Row(momentum(t.c, 1)),
        "gain": Row(gain, since=1),
        "loss": Row(loss, since=1),
        "avg_gain": Row(means[0], 5.1e-7),
        "avg_loss": Row(means[1], 5.1e-7),
        "rs": Row(means[0] / np.where(means[1] == 0, np.nan, means[1]), 5.1e-7),
        "rsi": Row(standing(t.c, 14, lambda x: rsi(x, 14)), 5.1e-7),
    }


def sc_macd_12_26_9(t):
    """Its averages begin with the first price: as if that had stood before. Its signal had another seed."""
    line, signal, histogram = standing(t.c, 33, lambda x: macd(x, 12, 26, 9))
    return {
        "short_ema": Row(standing(t.c, 11, lambda x: ema(x, 12)), 5.1e-9),
        "long_ema": Row(standing(t.c, 25, lambda x: ema(x, 26)), 5.1e-9),
        "macd_line": Row(line, 5.1e-9),
        "macd_signal": Row(signal, 5e-9, 90),
        "macd_diff": Row(histogram, 5e-9, 90),
    }


def sc_atr_14(t):
    """The first true range is high - low, and there are zeros until the average is warm."""
    reach = standing(t.c, 1, lambda c: true_range(*(np.concatenate([x[:1], x]) for x in (t.h, t.l)), c))
    return {"tr": Row(reach), "atr": Row(from_high_low(t, 14), 5e-10, 13)}


def sc_bbands_20_2(t):
    lower, middle, upper = bollinger(t.c, 20, 2.0)
    return {
        "middleband": Row(middle),
        "20-day_standard_deviation": Row(deviation(t.c, 20), 5.1e-7),
        "highband": Row(upper, 5.1e-7),
        "lowband": Row(lower, 5.1e-7),
        "widthband": Row(100 * (upper - lower) / middle, 5.1e-7),
        "percentageband": Row((t.c - lower) / (upper - lower), 5.1e-7),
        "crossup": Row(1.0 * (t.c > upper)),
        "crossdown": Row(1.0 * (t.c < lower)),
    }


def sc_stoch_14(t):
    k, d = stochastic(t.h, t.l, t.c, 14, 1, 3)
    return {
        "highest_high_14": Row(highest(t.h, 14)),
        "lowest_low_14": Row(lowest(t.l, 14)),
        "so": Row(k, 5.1e-7),
        "so_sig": Row(d, 8e-7),
    }


def sc_adx_14(t):
    return {name: Row(line, 5.1e-8) for name, line in zip(t.names[4:], wilders(t), strict=True)}


def sc_vwap_14(t):
    """Until it is warm it is of the candles there are: that of a session."""
    price = (t.h + t.l + t.c) / 3
    line = vwap(price, t.v, 14)
    line[:13] = session_vwap(price, t.v, np.zeros(t.size, bool))[:13]
    return {"typical_price": Row(price, 5e-6), "vwap": Row(line)}


def sc_roc_12(t):
    return {"roc": Row(roc(t.c, 12), 5e-9)}


def haas_madhatter_sol_1m(t):
    """The platform had candles before the chart, and makes MACD anew from a limited number of them at every candle."""
    middle, spread = mama(t.c, 0.5, 0.05), deviation(t.c, 9)
    line, signal, histogram = macd(t.c, 10, 100, 9)
    return {
        "exp_rsi": Row(rsi(t.c, 16), 1e-8, 350),
        "exp_bb_middle": Row(middle, 1e-12, 400),
        "exp_bb_upper": Row(middle + spread, 1e-9, 400),
        "exp_bb_lower": Row(middle - spread, 1e-9, 400),
        "exp_macd_line": Row(line, 3e-4, 600),
        "exp_macd_signal": Row(signal, 3e-4, 600),
        "exp_macd_hist": Row(histogram, 3e-5, 600),
    }


def talib_indicators(t):
    """TA-Lib seeds the fast average of MACD where the slow one is warm, and Wilder's directional moves with one less:
    these fade, and ours follow the plain definition, which other tables have to the digit."""
    candles = pq.read_table(DATA / "candles" / "btc_perp_1m_2022jan.parquet").slice(0, t.size)
    h, l, c, v = (candles[name].to_numpy() for name in ("high", "low", "close", "volume"))
    lower, middle, upper = bollinger(c, 20, 2.0)
    line, signal, histogram = macd(c, 12, 26, 9)
    conversion, base, _, _ = ichimoku(h, l, 9, 26, 52)
    k, d = stochastic(h, l, c, 14, 3, 3)
    return {
        "sma_20": Row(sma(c, 20)),
        "ema_12": Row(ema(c, 12)),
        "ema_26": Row(ema(c, 26)),
        "rsi_14": Row(rsi(c, 14)),
        "macd": Row(line, since=200),
        "macd_signal": Row(signal, since=250),
        "macd_hist": Row(histogram, since=250),
        "bb_upper": Row(upper, 5e-11),
        "bb_middle": Row(middle),
        "bb_lower": Row(lower, 5e-11),
        "atr_14": Row(atr(h, l, c, 14)),
        "adx_14": Row(directional(h, l, c, 14)[2], since=450),
        "stoch_k": Row(k),
        "stoch_d": Row(d),
        "cci_20": Row(cci(h, l, c, 20), 2e-10),
        "mfi_14": Row(mfi(h, l, c, v, 14)),
        "willr_14": Row(williams_r(h, l, c, 14)),
        "obv": Row(obv(c, v)),
        "psar": Row(parabolic_sar(h, l, 0.02, 0.2)),
        "roc_10": Row(roc(c, 10)),
        "ichi_tenkan": Row(conversion),
        "ichi_kijun": Row(base),
        "donchian_20_hi": Row(donchian(h, l, 20)[2]),
        "donchian_20_lo": Row(donchian(h, l, 20)[0]),
    }


ALL = (
    *(sma_ema_macd_rsi_obv, bollinger_20_2, atr_14_wilder, macd_12_26_9, adx_14, ichimoku_9_26_52, keltner_20),
    *(donchian_50, stoch_12_3_5, obv_, heikin_ashi_, vwap_50, roc_50, ema_14, true_range_, rma_5),
    *(sc_rsi_14, sc_macd_12_26_9, sc_atr_14, sc_bbands_20_2, sc_stoch_14, sc_adx_14, sc_vwap_14, sc_roc_12),
    *(haas_madhatter_sol_1m, talib_indicators),
)
TABLES = {make.__name__.rstrip("_"): make for make in ALL}


@functools.cache
def table(name):
    """Return a published table and our rows for it."""
    found = Table(f"{'oracle' if name == 'talib_indicators' else 'indicators'}/{name}.parquet")
    return found, TABLES[name](found)


def published(name):
    return [column for column in table(name)[0].names if column not in INPUTS and (name, column) not in NOT_INDICATORS]


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_ours(name):
    found, rows = table(name)

    assert set(published(name)) == set(rows)
    for column, row in rows.items():
        wanted = found[column][row.since :]
        known = ~np.isnan(wanted)
        assert known.any(), column
        np.testing.assert_allclose(
            row.line[row.since :][known], wanted[known], rtol=1e-13, atol=row.within, err_msg=column
        )


def test_no_table_is_left_out():
    documents = [document(f"indicators_{name}") for name in ("lean", "stockcharts", "haas_platform")]
    documents += [document("oracle_talib_indicators")]
    named = [entry["file"] for one in documents for entry in one.get("files", [one])]
    there = [path.relative_to(DATA / "conformance").as_posix() for path in (DATA / "conformance/indicators").iterdir()]

    assert sorted(f"{name}.parquet" for name in TABLES) == sorted(file.split("/")[1] for file in named)
    assert sorted(file for file in named if file.startswith("indicators/")) == sorted(there)
    assert {"indicators_jesse"} == {p.stem for p in (DATA / "conformance").glob("*indicators*.json")} - {
        one["name"] for one in documents
    }


def test_the_levels_left_out_are_constants():
    entry = 138.30
    for (name, column), factor in zip(NOT_INDICATORS, (0.92, 1.12), strict=True):
        line = table(name)[0][column]

        assert {round(entry * factor, 3)} == set(np.round(line[~np.isnan(line)], 9).tolist())
