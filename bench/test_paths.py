"""How fast are path metrics, against a plain read of the same columns?"""

import pytest
from highwater.bench import questions
from highwater.bench.market import market


@pytest.mark.parametrize("cores", [1, 2])
def test_path_metrics(bench, cores):
    questions.path_metrics(bench, market(), cores)
    if cores == 1:
        bench.hold("path metrics", "read-sum")
