from highwater.engine.traces.filters import Clause, FilterReport

REPORT = FilterReport(
    13_665,
    (
        Clause("1", "ma_crossover+momentum", "|vote| >= 0.3", 10_574, 10_574),
        Clause("1", "ma_crossover+momentum", "adx(14) > 25", 10_574, 5_113),
        Clause("2.1", "rsi_bands", "condition: volume > " + " + ".join(["sma(volume, 20)"] * 9), 1_234_567, 0),
        Clause("top", "+".join(["bollinger_bands"] * 9), "intraday", 0, 0),
    ),
)


def test_the_table_of_what_filters_did():
    expected = """\
signals pass only where                            before     after
member 1, ma_crossover+momentum
  |vote| >= 0.3                                    10,574    10,574  passes all
  adx(14) > 25                                     10,574     5,113
member 2.1, rsi_bands
  condition: volume > sma(volume, 20) + sma(... 1,234,567         0  passes none
bollinger_bands+bollinger_bands+bollinger_bands+bollinger_bands+bollinger_ban...
  intraday                                              0         0  no signals"""

    assert expected.splitlines() == list(REPORT.lines())
    assert all(len(line) <= 80 for line in REPORT.lines())


def test_a_wider_table():
    assert all(len(line) <= 120 for line in REPORT.lines(120))
    assert 120 >= max(map(len, REPORT.lines(120))) > 100


def test_no_filters():
    assert ["no filters"] == list(FilterReport(7).lines())
