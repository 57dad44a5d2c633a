from collections import Counter

import numba
import session_market as market

SEEDS = 60 if numba.config.DISABLE_JIT else 1000


def test_every_trade_fill_and_event_is_that_of_the_oracle():
    seen = Counter()
    for seed in range(SEEDS):
        given = market.random_market(seed)
        trades, events = market.told(*market.passed(given))
        expected = market.wanted(given)
        seen.update(row["reason"] for row in trades)
        seen.update(what for *_, what in events)

        assert expected[0] == trades, seed
        assert expected[1] == events, seed
    print(seen)
