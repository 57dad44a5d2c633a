import numba
import numpy as np
import pytest
from highwater.kernels.philox import philox, uniform, uniforms
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_market import COMPILED

LOW = 2**32 - 1
examples = settings(max_examples=200 if COMPILED else 50, deadline=None)
int64, word = st.integers(-(2**63), 2**63 - 1), st.integers(0, LOW)


def rounds(counter, key):
    """Return Philox4x32-10 of four counter words and two key words, in Python integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        (high0, low0), (high1, low1) = divmod(0xD2511F53 * c[0], 2**32), divmod(0xCD9E8D57 * c[2], 2**32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) & LOW, (k[1] + 0xBB67AE85) & LOW]
    return c


def draw(seed, trial, dimension, stream):
    """Return the uniform that a seed and a trial have, in Python integers."""
    a, b, _, _ = rounds((trial & LOW, trial >> 32 & LOW, dimension, stream), (seed & LOW, seed >> 32 & LOW))
    return ((a << 32 | b) >> 11) * 2.0**-53


# The known answers that Random123 publishes with the algorithm (kat_vectors).
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((LOW, LOW, LOW, LOW), (LOW, LOW), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(counter, key, words):
    found = philox(*map(np.uint64, (*counter, *key)))

    assert words == tuple(map(int, found))
    assert words == tuple(rounds(counter, key))


@examples
@given(int64, int64, word, word)
def test_a_draw_is_its_counter_and_key(seed, trial, dimension, stream):
    assert draw(seed, trial, dimension, stream) == uniform(seed, trial, dimension, stream)


@pytest.mark.parametrize("seed", [-1, -(2**63), 2**63 - 1, np.int64(-7), np.uint64(2**63), np.uint64(2**64 - 1)])
def test_any_64_bit_seed_has_its_draws(seed):
    expected = [draw(int(seed), trial, 1, 2) for trial in (5, 6)]

    assert expected == [uniform(seed, trial, 1, 2) for trial in (5, 6)]
    assert expected == uniforms(seed, 5, 2, 1, 2).tolist()


@examples
@given(int64, st.integers(0, 2**40), st.integers(0, 20), st.integers(0, 20))
def test_a_draw_does_not_know_how_the_work_is_cut(seed, first, left, right):
    whole = uniforms(seed, first, left + right, 3, 0)
    cut = [*uniforms(seed, first, left, 3, 0), *uniforms(seed, first + left, right, 3, 0)]

    assert whole.tolist() == cut


def test_draws_fill_the_unit_interval():
    draws = uniforms(1, 0, 20_000, 0, 0)
    counts = np.histogram(draws, 10, (0, 1))[0]

    assert 0 <= draws.min() < 0.001
    assert 0.999 < draws.max() < 1
    assert 20_000 == len(set(draws))
    assert (abs(counts - 2000) < 250).all()  # six standard deviations


def test_dimensions_and_streams_differ():
    draws = [uniform(seed, trial, d, s) for seed in (0, 1) for trial in (0, 1, 2**32) for d in (0, 1) for s in (0, 1)]

    assert 24 == len(set(draws))


@numba.njit
def dice(seed, count):
    """A user's own loop: throws of a die."""
    out = np.empty(count, np.int64)
    for i in range(count):
        out[i] = 1 + int(6 * uniform(seed, i, 0, 9))
    return out


def test_a_user_draws_in_a_loop_of_their_own():
    assert [1 + int(6 * draw(5, i, 0, 9)) for i in range(20)] == dice(5, 20).tolist()
