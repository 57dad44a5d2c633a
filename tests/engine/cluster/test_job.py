import numpy as np
import pytest
import small_market
from highwater.engine.cluster.job import key_of, opened, spec_of
from highwater.io.errors import IntegrityError
from lone_crew import searching


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return small_market.prepared(tmp_path_factory.mktemp("market"))


def test_a_job_is_opened_on_its_own_candles_alone(ready, tmp_path):
    _, there, manned = searching(ready)
    message = manned.crew.job.message
    there_again = opened(message, ready.slice, 2).there
    other = small_market.prepared(tmp_path, horizon=3_600_000)

    assert ready.slice.facts.content_sha256 == spec_of(message)["slice"]["content"]
    assert there.market == there_again.market
    assert [type(value) for value in there.market.costs] == [type(value) for value in there_again.market.costs]
    for one, two in zip(there.windows, there_again.windows, strict=True):
        np.testing.assert_array_equal(one, two)
        assert (one.dtype, one.flags.writeable) == (two.dtype, two.flags.writeable)
    if other.slice.facts.content_sha256 != ready.slice.facts.content_sha256:
        with pytest.raises(IntegrityError, match="does not hold the candles of this search"):
            opened(message, other.slice, 1)


def test_items_have_one_name_wherever_they_are_done(ready):
    job, other = (searching(ready, medians=medians)[2].crew.job for medians in ("top", "all"))
    given = {"first": 0, "count": 7, "rows": [0, 9]}

    assert key_of(job, "tally", given) == key_of(searching(ready)[2].crew.job, "tally", dict(given))
    assert 4 == len(
        {
            key_of(job, "tally", given),
            key_of(job, "days", given),
            key_of(other, "tally", given),
            key_of(job, "tally", given | {"first": 7}),
        }
    )
