"""Every indicator from its definition, in plain Python over lists: each value anew from the candles it may know.

Lists hold floats, NaN where a value is not known. Sums are exact (``math.fsum``). Names and arguments are those of the
kernels.
"""

import math

NAN = math.nan


def first_of(x):
    """Return the place of the first number."""
    return next((i for i, value in enumerate(x) if value == value), len(x))


def each(x, n, of):
    """Return ``of`` every ``n`` values, the newest last; NaN until there are ``n`` numbers."""
    first = first_of(x)
    return [of(x[i - n + 1 : i + 1]) if i - n + 1 >= first else NAN for i in range(len(x))]


def mean(values):
    return math.fsum(values) / len(values) if min(values) < max(values) else values[0]


def recursive(x, n, alpha):
    first, out = first_of(x), []
    for i in range(len(x)):
        if i < first + n - 1:
            out.append(NAN)
        elif i == first + n - 1:
            out.append(mean(x[first : i + 1]))
        else:
            out.append(alpha * x[i] + (1 - alpha) * out[-1])
    return out


def zipped(of, *lists):
    return [of(*values) for values in zip(*lists, strict=True)]


def sma(x, n):
    return each(x, n, mean)


def ema(x, n):
    return recursive(x, n, 2 / (n + 1))


def rma(x, n):
    return recursive(x, n, 1 / n)


def wma(x, n):
    return each(x, n, lambda w: math.fsum((k + 1) * v for k, v in enumerate(w)) * 2 / (n * (n + 1)))


def dema(x, n):
    one = ema(x, n)
    return zipped(lambda a, b: 2 * a - b, one, ema(one, n))


def tema(x, n):
    one = ema(x, n)
    two = ema(one, n)
    return zipped(lambda a, b, c: 3 * a - 3 * b + c, one, two, ema(two, n))


def highest(x, n):
    return each(x, n, max)


def lowest(x, n):
    return each(x, n, min)


def deviation(x, n):
    def of(w):
        centre = mean(w)
        return math.sqrt(math.fsum((v - centre) ** 2 for v in w) / n)

    return each(x, n, of)


def linear_slope(x, n):
    def of(w):
        centre, middle = mean(w), (n - 1) / 2
        top = math.fsum((k - middle) * (v - centre) for k, v in enumerate(w))
        return top / math.fsum((k - middle) ** 2 for k in range(n))

    return each(x, n, of)


def percent_rank(x, n):
    return each(x, n + 1, lambda w: 100 * sum(v < w[-1] for v in w[:-1]) / n)


def but_first(x, of):
    """Return ``of`` the place of every value but the first."""
    return [of(i) if i else NAN for i in range(len(x))]


def true_range(h, l, c):
    return but_first(h, lambda i: max(h[i] - l[i], abs(h[i] - c[i - 1]), abs(l[i] - c[i - 1])))


def atr(h, l, c, n):
    return rma(true_range(h, l, c), n)


def rsi(x, n):
    changes = but_first(x, lambda i: x[i] - x[i - 1])
    gains = rma([max(d, 0.0) if d == d else NAN for d in changes], n)
    losses = rma([max(-d, 0.0) if d == d else NAN for d in changes], n)

    out = []
    for change, gain, loss in zip(changes, gains, losses, strict=True):
        if gain != gain:
            out.append(NAN)
        elif change == 0 and out[-1] == out[-1]:
            out.append(out[-1])  # both averages shrink by the same factor
        elif loss == 0:
            out.append(100.0 if gain > 0 else 50.0)
        else:
            out.append(100 - 100 / (1 + gain / loss))
    return out


def within(x, low, high):
    return zipped(
        lambda v, a, b: NAN if a != a or v != v else 50.0 if a == b else 100 * (v - a) / (b - a), x, low, high
    )


def stochastic(h, l, c, n, smooth, d):
    k = sma(within(c, lowest(l, n), highest(h, n)), smooth)
    return k, sma(k, d)


def stochastic_rsi(x, n, window, k, d):
    strength = rsi(x, n)
    line = sma(within(strength, lowest(strength, window), highest(strength, window)), k)
    return line, sma(line, d)


def typical(h, l, c):
    return zipped(lambda a, b, d: (a + b + d) / 3, h, l, c)


def cci(h, l, c, n):
    def of(w):
        above = math.fsum(w[-1] - v for v in w) / n
        spread = math.fsum(abs(above - (w[-1] - v)) for v in w) / n
        return above / (0.015 * spread) if spread else 0.0

    return each(typical(h, l, c), n, of)


def williams_r(h, l, c, n):
    def of(top, low, close):
        return NAN if top != top else -50.0 if top == low else -100 * (top - close) / (top - low)

    return zipped(of, highest(h, n), lowest(l, n), c)


def mfi(h, l, c, v, n):
    x = typical(h, l, c)
    moved = but_first(x, lambda i: 0 if math.isclose(x[i], x[i - 1], rel_tol=1e-14) else x[i] - x[i - 1])
    rising = each(but_first(x, lambda i: x[i] * v[i] * (moved[i] > 0)), n, math.fsum)
    falling = each(but_first(x, lambda i: x[i] * v[i] * (moved[i] < 0)), n, math.fsum)

    def of(up, down):
        return NAN if up != up else 100 - 100 / (1 + up / down) if down else 100.0 if up else 50.0

    return zipped(of, rising, falling)


def momentum(x, n):
    return [x[i] - x[i - n] if i >= n else NAN for i in range(len(x))]


def roc(x, n):
    return [100 * (x[i] / x[i - n] - 1) if i >= n else NAN for i in range(len(x))]


def macd(x, fast, slow, signal):
    line = zipped(lambda a, b: a - b, ema(x, fast), ema(x, slow))
    average = ema(line, signal)
    return line, average, zipped(lambda a, b: a - b, line, average)


def aroon(h, l, n):
    def since(w, extreme):
        return w[::-1].index(extreme(w))

    return tuple(
        each(x, n + 1, lambda w, extreme=extreme: 100 * (n - since(w, extreme)) / n)
        for x, extreme in ((h, max), (l, min))
    )


def bollinger(x, n, k):
    middle, spread = sma(x, n), deviation(x, n)
    return zipped(lambda m, s: m - k * s, middle, spread), middle, zipped(lambda m, s: m + k * s, middle, spread)


def keltner(h, l, c, n, k):
    middle, reach = ema(c, n), atr(h, l, c, n)
    return zipped(lambda m, s: m - k * s, middle, reach), middle, zipped(lambda m, s: m + k * s, middle, reach)


def donchian(h, l, n):
    lower, upper = lowest(l, n), highest(h, n)
    return lower, zipped(lambda a, b: (a + b) / 2, lower, upper), upper


def ichimoku(h, l, conversion, base, span):
    quick, slow = donchian(h, l, conversion)[1], donchian(h, l, base)[1]
    lead = zipped(lambda a, b: (a + b) / 2, quick, slow)

    def later(x):
        return ([NAN] * base + x)[: len(x)]

    return quick, slow, later(lead), later(donchian(h, l, span)[1])


def supertrend(h, l, c, n, k):
    reach, lines, directions = atr(h, l, c, n), [], []
    lower, upper, trend = [], [], NAN
    for i in range(len(c)):
        middle = (h[i] + l[i]) / 2
        lower.append(middle - k * reach[i])
        upper.append(middle + k * reach[i])
        if i > n:
            if lower[i - 1] > lower[i] and c[i - 1] >= lower[i - 1]:
                lower[i] = lower[i - 1]
            if upper[i - 1] < upper[i] and c[i - 1] <= upper[i - 1]:
                upper[i] = upper[i - 1]
            if trend > 0 and c[i] < lower[i]:
                trend = -1.0
            elif trend < 0 and c[i] > upper[i]:
                trend = 1.0
        elif i == n:
            trend = -1.0
        directions.append(trend)
        lines.append(NAN if trend != trend else lower[i] if trend > 0 else upper[i])
    return lines, directions


def parabolic_sar(h, l, step, most):
    out, size = [NAN] * len(h), len(h)
    if size < 2:
        return out
    fell, rose = l[0] - l[1], h[1] - h[0]
    long = not (fell > 0 and fell > rose)
    best, stop, share = (h[1], l[0], min(step, most)) if long else (l[1], h[0], min(step, most))
    for i in range(1, size):
        before = max(i - 1, 1)
        if (l[i] <= stop) if long else (h[i] >= stop):
            long, share = not long, min(step, most)
            stop = min(best, l[i], l[before]) if long else max(best, h[i], h[before])
            best = h[i] if long else l[i]
            out[i] = stop
        else:
            out[i] = stop
            if (h[i] > best) if long else (l[i] < best):
                best, share = (h[i] if long else l[i]), min(share + step, most)
        stop = stop + share * (best - stop)
        stop = min(stop, l[i], l[before]) if long else max(stop, h[i], h[before])
    return out


def directional(h, l, c, n):
    ups, downs = but_first(h, lambda i: h[i] - h[i - 1]), but_first(l, lambda i: l[i - 1] - l[i])
    plus = rma(but_first(h, lambda i: ups[i] if ups[i] > max(downs[i], 0) else 0.0), n)
    minus = rma(but_first(h, lambda i: downs[i] if downs[i] > max(ups[i], 0) else 0.0), n)
    reach = atr(h, l, c, n)

    def share(a, b):
        return NAN if a != a else 100 * a / b if b > 0 else 0.0

    plus_di, minus_di = zipped(share, plus, reach), zipped(share, minus, reach)
    index = zipped(lambda a, b: share(abs(a - b), a + b), plus, minus)
    return plus_di, minus_di, rma(index, n)


def vortex(h, l, c, n):
    rising, falling = (but_first(h, lambda i, a=a, b=b: abs(a[i] - b[i - 1])) for a, b in ((h, l), (l, h)))
    reach = each(true_range(h, l, c), n, math.fsum)

    def share(a, b):
        return NAN if b != b else a / b if b else 1.0

    return zipped(share, each(rising, n, math.fsum), reach), zipped(share, each(falling, n, math.fsum), reach)


def heikin_ashi(o, h, l, c):
    first, close = [], zipped(lambda *four: sum(four) / 4, o, h, l, c)
    for i in range(len(c)):
        first.append((first[-1] + close[i - 1]) / 2 if i else (o[0] + c[0]) / 2)
    return first, zipped(max, h, first, close), zipped(min, l, first, close), close


def obv(c, v):
    signed = [v[i] * ((c[i] > c[i - 1]) - (c[i] < c[i - 1])) if i else v[i] for i in range(len(c))]
    return [math.fsum(signed[: i + 1]) for i in range(len(c))]


def vwap(p, v, n):
    both = zipped(lambda a, b: a * b, p, v)
    return zipped(lambda a, b: a / b if b else NAN, each(both, n, math.fsum), each(v, n, math.fsum))


def session_vwap(p, v, starts):
    out, begin = [], 0
    for i in range(len(p)):
        begin = i if starts[i] else begin
        volume = math.fsum(v[begin : i + 1])
        out.append(
            math.fsum(a * b for a, b in zip(p[begin : i + 1], v[begin : i + 1], strict=True)) / volume
            if volume
            else NAN
        )
    return out


def volume_ratio(v, n):
    return each(v, n + 1, lambda w: w[-1] / mean(w[:-1]) if any(w[:-1]) else math.inf if w[-1] else NAN)


def flows(h, l, c, v):
    return zipped(lambda a, b, d, w: w * ((d - b) - (a - d)) / (a - b) if a > b else 0.0, h, l, c, v)


def accumulation_distribution(h, l, c, v):
    flow = flows(h, l, c, v)
    return [math.fsum(flow[: i + 1]) for i in range(len(flow))]


def chaikin_money_flow(h, l, c, v, n):
    return zipped(
        lambda a, b: NAN if b != b else a / b if b else 0.0,
        each(flows(h, l, c, v), n, math.fsum),
        each(v, n, math.fsum),
    )


def mama(x, fast, slow):
    first, out = first_of(x), [NAN] * len(x)
    x = x[first:]

    def at(values, i):
        return values[i] if i >= 0 else 0.0

    smooth, detrender, q1, i1, i2, q2, re, im, period, phase, line = ([] for _ in range(11))
    for i in range(len(x)):
        known = i >= 3
        smooth.append(math.fsum((4 - k) * x[i - k] for k in range(4)) / 10 if known else 0.0)
        scale = 0.075 * at(period, i - 1) + 0.54

        def turned(values, i=i, scale=scale):
            far, near = at(values, i) - at(values, i - 6), at(values, i - 2) - at(values, i - 4)
            return scale * (0.0962 * far + 0.5769 * near)

        settled = i >= 9
        detrender.append(turned(smooth) if settled else 0.0)
        q1.append(turned(detrender) if settled else 0.0)
        i1.append(at(detrender, i - 3))
        i2.append(0.2 * (i1[i] - turned(q1)) + 0.8 * at(i2, i - 1))
        q2.append(0.2 * (q1[i] + turned(i1)) + 0.8 * at(q2, i - 1))
        re.append(0.2 * (i2[i] * at(i2, i - 1) + q2[i] * at(q2, i - 1)) + 0.8 * at(re, i - 1))
        im.append(0.2 * (i2[i] * at(q2, i - 1) - q2[i] * at(i2, i - 1)) + 0.8 * at(im, i - 1))
        last = at(period, i - 1)
        now = 360 / math.degrees(math.atan(im[i] / re[i])) if re[i] and im[i] else last
        now = min(max(min(max(now, 0.67 * last), 1.5 * last), 6.0), 50.0)
        period.append(0.2 * now + 0.8 * last if settled else 0.0)
        phase.append(math.degrees(math.atan(q1[i] / i1[i])) if i1[i] else 0.0)
        alpha = max(fast / max(at(phase, i - 1) - phase[i], 1.0), slow)
        line.append(alpha * x[i] + (1 - alpha) * line[-1] if settled else x[0])
        out[first + i] = line[-1] if i >= 32 else NAN
    return out
