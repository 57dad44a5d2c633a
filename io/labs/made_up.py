"""Labs that no server has: backtests of the shape HaasOnline sends, the same each time, their arithmetic exact.

Each position is entered and left at the open of a made-up minute, at random times, so that no lab has any skill.
What the samples do not show is a guess: short positions (``d`` 1, orders 4 and 5) and RPH of several positions.
"""

import hashlib
import math
from dataclasses import dataclass, field
from random import Random
from typing import Any

SCRIPT, ACCOUNT = "Made-up ADX Scalper", "made-up-account"
MARKET = "BINANCEFUTURES_UNI_USDT_PERPETUAL"
MINUTE, DAY = 60, 86_400
START = 1_754_006_400  # 2025-08-01, s UTC
FEE_RATE, LEVERAGE, BALANCE = 0.0005, 20.0, 10_000.0
_FINE = 1 << 20


@dataclass(frozen=True)
class MadeUpLab:
    """A lab of ``backtests`` made up from ``seed``; it tests ``days`` of ``market`` from ``start`` (s UTC) on."""

    lab: str = "caed4df4-bcf9-4d4c-a8af-a51af6b7982e"
    backtests: int = 100
    name: str = "Made-up lab"
    seed: int = 7
    market: str = MARKET
    start: int = START
    days: int = 28
    parameters: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {
            "3-3-11-16.Stop Loss (%)": (1.0, 2.0, 3.0, 5.0),
            "4-4-13-18.Take Profit (%)": (1.0, 2.0, 4.0, 8.0),
            "83-83-19-24.ADX trigger": (20.0, 25.0, 30.0),
        }
    )

    @property
    def end(self) -> int:
        """The end of what it tests, s UTC."""
        return self.start + self.days * DAY

    def ids(self) -> list[str]:
        """Return the ids of its backtests, first first."""
        return [backtest_id(self, i) for i in range(self.backtests)]


def backtest_id(lab: MadeUpLab, i: int) -> str:
    """Return the id of backtest ``i``: a uuid that hangs on the lab and its seed."""
    text = hashlib.sha256(f"{lab.lab}:{lab.seed}:{i}".encode()).hexdigest()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:32]))


def price(market: str, minute: int) -> float:
    """Return the open of a market's minute (s UTC, a multiple of 60), rounded to a thousandth."""
    phase = sum(market.encode()) % 97
    t = minute / DAY + phase
    slow = 0.08 * math.sin(t / 3.1) + 0.05 * math.sin(t * 1.7) + 0.02 * math.sin(t * 6.1) + 0.01 * math.sin(t * 23.0)
    noise = (minute // MINUTE * 2_654_435_761 % _FINE) / _FINE - 0.5
    return round((5 + phase / 10) * (1 + slow + 0.002 * noise), 3)


def candle(market: str, minute: int) -> tuple[float, float, float, float, float]:
    """Return open, high, low, close and volume of a market's minute; it closes where the next one opens."""
    first, last = price(market, minute), price(market, minute + MINUTE)
    wick = round(0.0005 * first, 3)
    return first, round(max(first, last) + wick, 3), round(min(first, last) - wick, 3), last, 1000.0 + minute // 60 % 13


def bar(market: str, minute: int) -> dict[str, Any]:
    """Return a market's minute as charts have it."""
    return dict(zip(("O", "H", "L", "C", "V"), candle(market, minute), strict=True)) | {"M": False}


def settings(lab: MadeUpLab, i: int) -> dict[str, float]:
    """Return the parameters of backtest ``i``, every combination in turn."""
    chosen = {}
    for key, values in lab.parameters.items():
        chosen[key] = values[i % len(values)]
        i //= len(values)
    return chosen


def positions(lab: MadeUpLab, i: int) -> list[dict[str, Any]]:
    """Return the closed positions of backtest ``i``, first first, as ``FinishedPositions`` has them."""
    draw = Random(f"{lab.seed}:{lab.lab}:{i}")
    count, at, made = draw.randrange(0, 25), lab.start, []
    while len(made) < count:
        at += MINUTE * draw.randrange(20, 2_000)
        leave = at + MINUTE * draw.randrange(1, 1_200)
        if leave >= lab.end:
            break
        made.append(_position(lab, f"{i}:{len(made)}", at, leave, draw.random() < 0.4))
        at = leave
    return made


def _position(lab: MadeUpLab, name: str, at: int, leave: int, short: bool) -> dict[str, Any]:
    entry, exit_ = price(lab.market, at), price(lab.market, leave)
    amount = float(round(930 * LEVERAGE / entry))
    gross = (entry - exit_ if short else exit_ - entry) * amount
    margin, after = entry * amount / LEVERAGE, exit_ * amount / LEVERAGE
    fees = (FEE_RATE * entry * amount, FEE_RATE * exit_ * amount)
    net, share = gross - sum(fees), gross / margin * 100
    order = {"paid": "", "pa": 0, "tp": 0.0, "t": 501, "a": amount, "af": amount, "fc": "USDT", "cr": 0}
    enter = order | {"id": f"en-{name}", "eid": f"en-{name}", "ot": at, "ct": at, "to": 300, "d": 4 if short else 2}
    enter |= {"p": entry, "ep": entry, "fe": fees[0], "m": margin, "pr": 0.0, "r": 0.0, "n": "SE" if short else "LE"}
    out = order | {"id": f"ex-{name}", "eid": f"ex-{name}", "ot": leave, "ct": leave, "to": 0, "d": 5 if short else 3}
    out |= {"p": exit_, "ep": exit_, "fe": fees[1], "m": after, "pr": gross, "r": round(share, 4)}
    base, quote = lab.market.split("_")[1:3]
    empty = empty_position(f"pg-{name}", f"g-{name}")
    return empty | {
        **{"ac": ACCOUNT, "ma": lab.market, "le": LEVERAGE, "d": 1 if short else 0, "mt": 1502},
        **{"pl": quote, "al": base, "pd": 3, "ot": at, "ct": leave, "ic": True, "ap": entry},
        **{"eno": [enter], "exo": [out | {"n": "TP" if net > 0 else "SL"}]},
        **{"fe": sum(fees), "rp": net, "roi": round(net / margin * 100, 4)},
    }


def empty_position(group: str, name: str) -> dict[str, Any]:
    """Return a position that nothing was done in, as the managed ones of a runtime are."""
    words = {"pg": group, "g": name, "ac": "", "ma": "", "le": 0.0, "d": 0, "mt": 0, "pl": None, "al": None}
    times = {"pd": 0, "ad": 0, "ot": 0, "ct": 0, "ic": False, "ap": 0.0, "t": 0.0, "av": 0.0, "io": 0.0}
    return words | times | {"eno": [], "exo": []} | dict.fromkeys(("cp", "fe", "rp", "up", "roi", "hpip", "lpip"), 0.0)


def report(lab: MadeUpLab, made: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the report of closed positions; RPH is what was realised by then, PH each position's."""
    net, fees = [each["rp"] for each in made], sum(each["fe"] for each in made)
    gross, margins = sum(each["exo"][0]["pr"] for each in made), [each["eno"][0]["m"] for each in made]
    total, wins = sum(net), [each for each in net if each > 0]
    losses = [each for each in net if each <= 0]
    most, first, last = max(margins, default=0.0), price(lab.market, lab.start), price(lab.market, lab.end)
    so_far = [sum(net[: i + 1]) for i in range(len(net))]
    base, quote = lab.market.split("_")[1:3]
    share = round(total / most * 100, 4) if most else 0.0
    held = sum(each["eno"][0]["a"] for each in made) / max(1, len(made))
    return {
        **{"AID": ACCOUNT, "M": lab.market, "AL": base, "ML": quote, "PL": quote},
        "F": {"FC": fees, "FR": 0.0, "TFC": fees, "FPC": {quote: fees} if made else {}},
        "PR": {
            **{"SP": first, "SB": BALANCE + total, "PC": round((last / first - 1) * 100, 4), "BC": 0.0},
            **{"GP": gross, "RP": total, "UP": 0.0, "ROI": share, "RM": most, "CRM": 0.0},
            **{"RPH": so_far, "ROIH": [round(each / most * 100, 4) for each in so_far]},
        },
        "O": {
            **{"F": 2 * len(made), "P": 0, "C": 0, "R": 0, "A": 0, "L": made[-1]["ct"] if made else 0, "PT": len(made)},
            **{"LT": 0, "BW": max([0.0, *net]), "BL": min([0.0, *net])},
        },
        "P": {
            **{"C": len(made), "W": len(wins), "AP": total / max(1, len(made)), "APS": held},
            **{
                "APM": sum(margins) / max(1, len(made)),
                "TEM": sum(margins) + total,
                "AW": sum(wins) / max(1, len(wins)),
            },
            **{"BW": max([0.0, *net]), "TW": sum(wins), "AL": sum(losses) / max(1, len(losses))},
            **{"BL": min([0.0, *net]), "TL": sum(losses), "PH": net},
        },
        "T": {
            **dict.fromkeys(("SHR", "SOR", "WP", "WLP", "PF", "CPC", "CSR", "AVM", "AVP"), 0.0),
            **{"TR": 1.0, "OWR": 1.0, "OLR": 1.0, "PMR": 0.01, "BW": max([0.0, *net]), "BL": min([0.0, *net])},
            **{"HP": max([0.0, *so_far]), "LP": min([0.0, *so_far]), "TM": most},
        },
    }


def runtime(lab: MadeUpLab, i: int) -> dict[str, Any]:
    """Return what GET_BACKTEST_RUNTIME has of backtest ``i``, without envelope."""
    made = positions(lab, i)
    switches = (
        *("Paused", "IsWhiteLabel", "HideTradeAmountSettings", "HideOrderSettings", "OrderPersistenceEnabled"),
        *("EnableHighSpeedUpdates", "UpdateAfterCompletedOrder", "TradeAmountError", "ScriptTradeAmountError"),
        *("IsSpotSupported", "IsManagedTrading", "IsOneDirection", "IsMultiMarket", "IsRemoteSignalBased"),
        *("IsWebHookBased", "IsTAUsed"),
    )
    return {
        "Chart": {**chart_head(f"chart-{i}"), "Status": 1},
        "CompilerErrors": [],
        "Reports": {f"{ACCOUNT}_{lab.market}": report(lab, made)},
        **{"CustomReport": {}, "ScriptNote": "", "TrackedOrderLimit": 150, "OpenOrders": [], "FailedOrders": []},
        "ManagedLongPosition": empty_position("long", f"long-{i}"),
        "ManagedShortPosition": empty_position("short", f"short-{i}"),
        "UnmanagedPositions": [],
        "FinishedPositions": made,
        "InputFields": {key: _input(key, value) for key, value in settings(lab, i).items()},
        **{"ScriptMemory": {}, "LocalMemory": {}, "RedisKeys": [], "Files": {}, "LogId": f"log-{i}", "LogCount": 0},
        **{"ExecutionLog": [], "UserId": "user@example.invalid", "BotId": f"bot-{i}", "BotName": ""},
        **{"ScriptId": "made-up-script", "ScriptName": SCRIPT, "Activated": True, "IsScriptOk": True},
        **{"ActivatedSince": lab.start, "DeactivatedSince": 0, "DeactivatedReason": "", "AccountId": ACCOUNT},
        **{"PriceMarket": lab.market, "Leverage": LEVERAGE, "MarginMode": 0, "PositionMode": 1, "TradeAmount": 100.0},
        **{"OrderTemplate": 500, "DefaultInterval": 20, "DefaultChartType": 300, "OrderPersistenceLimit": 10},
        **{"IndicatorContainerLogs": True, "UpdateCounter": 0, "IsMarginSupported": True, "IsLeverageSupported": True},
        **{"WebHookSignalId": "", **dict.fromkeys(switches, False)},
        **dict.fromkeys(("Timestamp", "MinuteTimestamp", "LastUpdateTimestamp"), lab.end),
    }


def _input(key: str, value: float) -> dict[str, Any]:
    name, text = key.split(".", 1), f"{value:g}"
    return {
        **{"T": 0, "ST": -1, "G": "TRADE SETTINGS", "K": key, "EK": name[0], "N": name[1], "TT": ""},
        **{"V": text, "D": text, "O": None, "MIN": 0.0, "MAX": 0.0},
    }


def item(lab: MadeUpLab, i: int, status: int = 3) -> dict[str, Any]:
    """Return the entry of backtest ``i`` in a result page; ``status`` 0 queued, 1 executing, 2 cancelled, 3 done.

    Every seventh has the other of the two shapes that summaries are known in.
    """
    made = positions(lab, i) if status == 3 else []
    total, fees = sum(each["rp"] for each in made), sum(each["fe"] for each in made)
    most = max((each["eno"][0]["m"] for each in made), default=0.0)
    share, quote = round(total / most * 100, 4) if most else 0.0, lab.market.split("_")[2]
    summary: dict[str, Any] = {"T": 2 * len(made), "P": sum(each["rp"] > 0 for each in made)}
    summary |= {"RP": {quote: total}, "FC": {quote: fees}, "ROI": [share]}
    if i % 7:
        summary = {"Orders": 2 * len(made), "Trades": 2 * len(made), "Positions": len(made)}
        summary |= {"FeeCosts": {quote: fees}, "RealizedProfits": {quote: total}, "ReturnOnInvestment": [share]}
        summary |= {"CustomReport": {}}
    return {
        **{"RID": i, "UID": "user@example.invalid", "LID": lab.lab, "BID": backtest_id(lab, i)},
        **{"NG": i // 50, "NP": i % 50, "ST": status, "SE": script_settings(lab)},
        "P": {key: f"{value:g}" for key, value in settings(lab, i).items()},
        **{"RT": None, "C": None, "L": None, "S": summary},
    }


def script_settings(lab: MadeUpLab) -> dict[str, Any]:
    """Return the settings that all backtests of a lab share."""
    return {
        **{"botId": "", "botName": "", "accountId": ACCOUNT, "marketTag": lab.market, "positionMode": 1},
        **{"marginMode": 0, "leverage": LEVERAGE, "tradeAmount": 100.0, "interval": 1, "chartStyle": 300},
        **{"orderTemplate": 500, "scriptParameters": {}},
    }


def record(lab: MadeUpLab, done: int | None = None, status: int = 3) -> dict[str, Any]:
    """Return the entry of a lab in GET_LABS; ``status`` 0 created, 1 queued, 2 running, 3 completed, 4 cancelled."""
    done = lab.backtests if done is None else done
    return {
        **{"UID": "user@example.invalid", "LID": lab.lab, "SID": "made-up-script", "N": lab.name, "T": 1},
        **{"SB": lab.backtests, "CB": done, "CA": lab.start, "UA": lab.end, "SA": lab.start, "RS": 0},
        **{"SU": lab.start, "EU": lab.end, "SE": False, "CM": "", "S": status},
    }


def details(lab: MadeUpLab, done: int | None = None, status: int = 3) -> dict[str, Any]:
    """Return a lab as GET_LAB_DETAILS has it: its record, configuration, settings and parameters."""
    parameters = [
        {"K": key, "T": 0, "O": [f"{value:g}" for value in values], "I": True, "IS": False}
        for key, values in lab.parameters.items()
    ]
    config = {"MP": 50, "MG": 10, "ME": 3, "MR": 0.0, "AR": 0.0}
    return record(lab, done, status) | {"C": config, "ST": script_settings(lab), "P": parameters}


def chart_head(name: str) -> dict[str, Any]:
    """Return a chart without any plot."""
    colours = {"Axis": "#000000", "Grid": "#303030", "Text": "#BBBBBB", "Background": "rgb(37, 37, 37)"}
    lines = {"PriceGhostLine": "#FFFF00", "VolumeGhostLine": "#FFFF00"}
    colours = {"Font": "Tahoma", **colours, **lines}
    return {"Guid": name, "Interval": 1, "Charts": {}, "Colors": colours, "IsLastPartition": True, "Status": 0}


def chart(name: str, market: str, first: int, last: int) -> dict[str, Any]:
    """Return a chart of a market's minutes from ``first`` to before ``last`` (s UTC), newest first as they come."""
    candles = {str(at): bar(market, at) for at in range(last - MINUTE, first - 1, -MINUTE)}
    axis = {"Type": 1100, "Side": 1001, "IsVisible": True, "AxisStart": None, "AxisEnd": None, "Precision": None}
    axis["Labels"] = []
    colours = {"Up": "#00FF00", "UpFill": False, "Down": "#FF0000", "DownFill": True, "Marked": "#FFFF00"}
    plot = {"Market": market, "Interval": 1, "Candles": candles, "Colors": {**colours, "MarkedFill": True}}
    main = {
        **{"PlotId": f"{name}-0", "PlotIndex": 0, "Title": SCRIPT, "Height": 0.0, "IsSignalPlot": False},
        **{"RightAxis": axis, "LeftAxis": axis | {"Side": 1000, "IsVisible": False}},
        "PricePlot": {**plot, "Style": 300, "Side": 1001},
        **{"DataLines": {}, "Shapes": {}, "Annotations": [], "TradeAnnotations": []},
    }
    return chart_head(name) | {"Charts": {"0": main}}
