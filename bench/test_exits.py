"""How fast is one policy, bar by bar?"""

import numpy as np
from highwater.bench.market import market, policies
from highwater.kernels import Costs, Rules, column, policy_of, simulate_all

FIXED = policies("fixed", 1)._replace(sl=column([0.7]), tp=column([[2.0]]))
TRAILING = policies("trailing", 1)._replace(sl=column([0.5]), trail_pct=column([0.3]), activate=column([1.0]))


def test_one_policy(bench):
    bars, _, windows, step = market()

    def trades(policies):
        return simulate_all(bars, windows, step, policy_of(policies, 0), Rules(), Costs())[0]

    times = bench.compare(
        {"stop and target": lambda: trades(FIXED), "stop and trailing stop": lambda: trades(TRAILING)}
    )
    for (way, took), policy in zip(times.items(), (FIXED, TRAILING), strict=True):
        lived = int(np.sum(trades(policy)["bar"] + 1))
        bench.say(way, took, f"{lived / took.cpu / 1e9:.2f} G candle-steps/s a core")
