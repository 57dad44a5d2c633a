import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from highwater.kernels import arrays
from highwater.kernels.arrays import candles, column, costs


def test_candles_copy_nothing_that_fits():
    ts, prices = np.arange(3), [np.full(3, float(x)) for x in range(1, 6)]
    found = candles(ts, *prices)

    assert all(np.shares_memory(mine, theirs) for mine, theirs in zip([ts, *prices], found, strict=True))
    assert not any(each.flags.writeable for each in found)
    assert all(each.flags.writeable for each in [ts, *prices])


def test_candles_convert_what_does_not():
    found = candles([0, 1], [1, 2], (3, 4), np.array([1, 2], np.float32), np.arange(4.0)[::2])

    assert [np.dtype(np.int64)] + [np.dtype(np.float64)] * 5 == [each.dtype for each in found]
    assert [[0, 1], [1, 2], [3, 4], [1, 2], [0, 2], [0, 0]] == [each.tolist() for each in found]
    assert all(each.flags.c_contiguous for each in found)


@pytest.mark.parametrize("at", range(5))
def test_candles_refuse_columns_of_two_lengths(at):
    columns = [[1.0, 1.0] for _ in range(5)]
    columns[at] = [1.0]

    with pytest.raises(ValueError, match="differ in length"):
        candles([0, 1], *columns)


def test_candles_refuse_tables():
    with pytest.raises(ValueError, match="differ in length"):
        candles([0], [[1.0]], [1.0], [1.0], [1.0])


def test_a_read_only_column_comes_back_as_it_is():
    once = column([1.0, 2.0])

    assert once is column(once)


def test_costs_multiply_a_side():
    found = costs(30, 50, 7)

    assert found.k_in == pytest.approx(float(Fraction("1.005") * Fraction("1.003")), rel=1e-15)
    assert found.k_out == pytest.approx(float(Fraction("0.995") * Fraction("0.997")), rel=1e-15)
    assert 0.0007 == found.fixed
    assert (1.0, 1.0, 0.0) == costs()


def test_legacy_costs_add_on_the_way_out():
    found = costs(30, 50, legacy=True)

    assert (1.005, 1 - 0.008, 0.0) == found


def test_names_have_the_place_of_their_number():
    numbered = {name: value for name, value in vars(arrays).items() if type(value) is int}

    assert [numbered[name] for name in arrays.REASONS[1:]] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [numbered[name] for name in arrays.STATUSES] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert [numbered[name] for name in arrays.FLAGS] == [1, 2, 4, 8]
    assert {name.upper(): value for name, value in (arrays.INTRABAR | arrays.ENTRY).items()}.items() <= numbered.items()


def test_importing_the_arrays_imports_no_numba():
    code = "import sys, highwater.kernels.arrays; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False" == done.stdout.strip()
