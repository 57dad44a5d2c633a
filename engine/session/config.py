"""Every setting of the session runner, its default and its range: read once, refused where it cannot be."""

from collections.abc import Mapping
from datetime import date, time
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ...io.config import nearest
from ...io.errors import UsageError

Fraction = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Factor = Literal["rel_volume", "price_action", "profile_proxy", "vwap", "adx"]


def _clock(value: Any) -> time:
    if isinstance(value, time):
        return value
    if type(value) is int and 0 <= value < 24 * 60:  # what YAML 1.1 makes of 13:30 without quotes
        return time(value // 60, value % 60)
    text = value if isinstance(value, str) else ""
    hours, _, minutes = (text.removesuffix(":00") if text.count(":") == 2 else text).partition(
        ":"
    )  # as manifests say it
    if hours.isdigit() and minutes.isdigit() and len(minutes) == 2 and int(hours) < 24 and int(minutes) < 60:
        return time(int(hours), int(minutes))
    raise ValueError(f"is {value!r}; it must be a local time such as 13:30")


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"must be a time zone such as America/New_York{nearest(name, available_timezones())}")
    return name


def _day(value: Any) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"is {value!r}; it must be a day such as 2024-01-02") from None


Clock = Annotated[time, BeforeValidator(_clock)]
Day = Annotated[date, BeforeValidator(_day)]
Symbol = Annotated[str, Field(min_length=1), AfterValidator(str.upper)]
Zone = Annotated[str, AfterValidator(_zone)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=False)


def _ascend(settings: _Settings, low: str, high: str) -> None:
    first, second = getattr(settings, low), getattr(settings, high)
    if not first < second:
        raise ValueError(f"{low} {first:g} must be below {high} {second:g}")


class Instrument(_Settings):
    """One symbol: when it is traded, where its candles come from, and the units of its price.

    Without times, the exchange's calendar decides. ``proxy_symbol``: whose candles stand in; ``tick_size`` is recorded.
    """

    symbol: Symbol
    proxy_symbol: Symbol | None = None
    data_source: Literal["yahoo", "binance", "synthetic", "file"] | None = None
    session_mode: Literal["rth", "eth", "full"] = "rth"
    calendar: str = "XNYS"
    session_start: Clock | None = None
    session_end: Clock | None = None
    timezone: Zone | None = None
    tick_size: Positive = 0.01
    point_value: Positive = 1.0
    enabled: bool = True

    @model_validator(mode="after")
    def _whole(self) -> Self:
        times = (self.session_start, self.session_end)
        if (times[0] is None) != (times[1] is None):
            raise ValueError("session_start and session_end go together")
        if times[0] is not None and times[1] is not None and times[0] >= times[1]:
            raise ValueError(f"session_start {times[0]:%H:%M} must be before session_end {times[1]:%H:%M}")
        return self


class OpeningRange(_Settings):
    """The opening range and whether it is valid."""

    base_minutes: Annotated[int, Field(ge=5, le=60)] = 15
    adaptive: bool = True
    low_norm_vol: Annotated[float, Field(ge=0, le=2)] = 0.35
    high_norm_vol: Annotated[float, Field(ge=0, le=2)] = 0.85
    short_or_minutes: Annotated[int, Field(ge=5, le=30)] = 10
    long_or_minutes: Annotated[int, Field(ge=15, le=60)] = 30
    norm_vol: Literal["scaled", "literal"] = "scaled"
    atr_period: Annotated[int, Field(ge=5, le=50)] = 14
    intraday_atr_timeframe: str = "5min"
    daily_atr_timeframe: Literal["1day"] = "1day"
    enable_validity_filter: bool = True
    validity_atr: Literal["range", "daily"] = "range"
    min_atr_mult: NotNegative = 0.25
    max_atr_mult: NotNegative = 1.75

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _ascend(self, "min_atr_mult", "max_atr_mult")
        if self.adaptive:
            _ascend(self, "low_norm_vol", "high_norm_vol")
            _ascend(self, "short_or_minutes", "long_or_minutes")
        return self


class Buffers(_Settings):
    """How far beyond the range a price breaks it."""

    fixed: NotNegative = 0.0
    use_atr: bool = False
    atr_mult: Annotated[float, Field(ge=0, le=0.5)] = 0.05


class RelVolume(_Settings):
    """Volume against that of the candles before, or of the sessions before at the same time of day."""

    enabled: bool = True
    by_time_of_day: bool = False
    lookback: Annotated[int, Field(ge=5, le=100)] = 20
    spike_mult: Annotated[float, Field(ge=1, le=5)] = 1.25


class PriceAction(_Settings):
    """Engulfing candles and the structure of highs and lows."""

    enabled: bool = True
    pivot_len: Annotated[int, Field(ge=2, le=10)] = 3
    enable_engulfing: bool = True
    enable_structure: bool = True

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.enabled and not (self.enable_engulfing or self.enable_structure):
            raise ValueError("one of enable_engulfing and enable_structure must be true")
        return self


class ProfileProxy(_Settings):
    """Where a close lies in the range of the session before."""

    enabled: bool = True
    val_pct: Annotated[float, Field(ge=0, le=1)] = 0.25
    vah_pct: Annotated[float, Field(ge=0, le=1)] = 0.75

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _ascend(self, "val_pct", "vah_pct")
        return self


class Vwap(_Settings):
    """The volume-weighted average price of the session."""

    enabled: bool = False
    reset_mode: Literal["session", "or_end"] = "session"


class Adx(_Settings):
    """The strength of the trend."""

    enabled: bool = False
    period: Annotated[int, Field(ge=5, le=50)] = 14
    threshold: Annotated[float, Field(ge=0, le=50)] = 18.0


class Factors(_Settings):
    """What speaks for a break."""

    rel_volume: RelVolume = RelVolume()
    price_action: PriceAction = PriceAction()
    profile_proxy: ProfileProxy = ProfileProxy()
    vwap: Vwap = Vwap()
    adx: Adx = Adx()

    @property
    def enabled(self) -> tuple[str, ...]:
        """The names of the factors that count."""
        return tuple(name for name in type(self).model_fields if getattr(self, name).enabled)


class Weights(_Settings):
    """What each factor counts. The keys are those of the origin, which are not those of the factors."""

    price_action: NotNegative = 1.0
    rel_vol: NotNegative = 1.0
    profile: NotNegative = 1.0
    vwap: NotNegative = 1.0
    adx: NotNegative = 1.0

    def of(self, factor: str) -> float:
        """Return the weight of a factor by the name it has in ``Factors``."""
        return getattr(self, {"rel_volume": "rel_vol", "profile_proxy": "profile"}.get(factor, factor))


class Scoring(_Settings):
    """The score that a break needs."""

    enabled: bool = True
    base_required: Annotated[int, Field(ge=0, le=10)] = 2
    weak_trend_required: Annotated[int, Field(ge=0, le=10)] = 3
    weights: Weights = Weights()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.base_required > self.weak_trend_required:
            raise ValueError(
                f"base_required {self.base_required} must not be above weak_trend_required {self.weak_trend_required}"
            )
        return self


class Trade(_Settings):
    """Entry, stop and targets; R is the distance from the entry to the stop."""

    sides: Literal["both", "long", "short"] = "both"
    both_sides: Literal["skip", "long"] = "skip"
    entry_bar: Literal["fs1", "targets_only"] = "fs1"
    stop_mode: Literal["or_opposite", "swing", "atr_capped"] = "or_opposite"
    extra_stop_buffer: NotNegative = 0.0
    atr_stop_cap_mult: Annotated[float, Field(ge=0, le=3)] = 0.80
    partials: bool = True
    t1_r: Positive = 1.0
    t1_pct: Fraction = 0.5
    t2_r: Positive = 1.5
    t2_pct: Fraction = 0.25
    runner_r: Annotated[float, Field(gt=1.5)] = 2.0
    primary_r: Positive = 1.5
    target_from: Literal["entry", "range"] = "entry"
    move_be_at_r: Annotated[float, Field(gt=0)] | None = 1.0
    be_buffer: NotNegative = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.partials:
            _ascend(self, "t1_r", "t2_r")
            _ascend(self, "t2_r", "runner_r")
            if self.t1_pct + self.t2_pct > 1 + 1e-9:
                raise ValueError(f"t1_pct {self.t1_pct:g} and t2_pct {self.t2_pct:g} must not be above 1 together")
        return self


class Governance(_Settings):
    """How often, until when and after which losses."""

    max_signals_per_day: Annotated[int, Field(ge=1, le=10)] = 3
    lockout_after_losses: Annotated[int, Field(ge=1, le=10)] = 2
    max_daily_loss_r: NotNegative | None = None
    time_cutoff: Clock | None = None
    second_chance_minutes: Annotated[int, Field(ge=0, le=120)] = 30
    flatten_at_session_end: bool = True
    flatten_minutes_before: Annotated[int, Field(ge=0, le=120)] = 0
    reset_daily: bool = True


class Backtest(_Settings):
    """The run. The days of the command line win; ``fee_bps`` and ``slippage_bps`` are of each side.

    ``random_seed`` is that of made-up candles.
    """

    start_date: Day | None = None
    end_date: Day | None = None
    initial_capital: Positive = 100_000.0
    contracts_per_trade: Annotated[int, Field(ge=1)] = 1
    conservative_fills: bool = True
    random_seed: Annotated[int, Field(ge=0)] = 42
    fee_bps: Annotated[float, Field(ge=0, lt=5000)] = 0.0
    slippage_bps: Annotated[float, Field(ge=0, lt=5000)] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start_date is not None and self.end_date is not None and self.start_date >= self.end_date:
            raise ValueError(f"start_date {self.start_date} must be before end_date {self.end_date}")
        return self


class Optimization(_Settings):
    """The search over these settings: what the flags of ``sweep --strategy orb`` leave open, where it is enabled.

    ``optimize_params`` are written as ``--param`` takes them, or named alone where ``axes.USUAL`` has values for them.
    """

    enabled: bool = False
    method: Literal["optuna", "grid", "random"] = "optuna"
    n_trials: Annotated[int, Field(ge=1)] = 100
    objective: Literal["expectancy", "sharpe", "profit_factor", "win_rate", "total_r"] = "expectancy"
    optimize_params: tuple[str, ...] = ()


class Config(_Settings):
    """Every setting. Frozen; a value that exists is valid."""

    name: str = "ORB_Confluence"
    version: str = "1.0"
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
    ] = "INFO"
    log_to_file: bool = True
    instruments: Mapping[str, Instrument] = Field(default_factory=dict)
    orb: OpeningRange = OpeningRange()
    buffers: Buffers = Buffers()
    factors: Factors = Factors()
    scoring: Scoring = Scoring()
    trade: Trade = Trade()
    governance: Governance = Governance()
    backtest: Backtest = Backtest()
    optimization: Optimization = Optimization()

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        enabled = len(self.factors.enabled)
        for name in ("base_required", "weak_trend_required"):
            needed = getattr(self.scoring, name)
            if self.scoring.enabled and needed > enabled:
                raise ValueError(f"scoring.{name} {needed} is more than the {enabled} factors enabled")
        if self.instruments and not any(each.enabled for each in self.instruments.values()):
            raise ValueError("instruments: at least one must be enabled")
        return self


def parse(values: Mapping[str, Any], place: str) -> Config:
    """Return the settings that ``values`` leave, everything else at its default; ``place`` names them in errors.

    Raises UsageError for the first key or value that cannot be, with what it must be.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{place}: {words_of(error)}") from None


def words_of(error: ValidationError) -> str:
    """Return the first thing wrong with some settings, in a line."""
    found = error.errors(include_url=False)
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    path = [str(part) for part in first["loc"]]
    name = ".".join(path)
    if first["type"] == "extra_forbidden":
        return f"unknown key '{name}'{nearest(path[-1], _keys(path[:-1]))}"
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{name}: {what}" if name else what
    if first["type"] == "missing":
        return f"{name} is missing"
    return f"{name} is {first['input']!r}; {what.replace('Input should', 'it must', 1)}"


def _keys(path: list[str]) -> list[str]:
    model: Any = Config
    for part in path:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        model = field.annotation if field is not None else Instrument
    return list(getattr(model, "model_fields", Instrument.model_fields))
