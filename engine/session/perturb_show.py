"""What each setting is worth, as it is printed: 80 columns."""

from collections.abc import Iterator

import pyarrow as pa
from rich.table import Table
from rich.text import Text


def perturbation(table: pa.Table) -> Iterator[Table | Text]:
    """Yield the table of what each setting is worth, and the settings that are worth nothing here."""
    made = Table("Setting", title="Expectancy in R with a setting lower or higher", title_justify="left", box=None)
    for head in ("Value", "-20%", "-10%", "+10%", "+20%", "Mean"):
        made.add_column(Text(head), justify="right", no_wrap=True)
    rows, names = table.to_pylist(), ("minus_20_pct", "minus_10_pct", "plus_10_pct", "plus_20_pct")
    for row in (each for each in rows if each["mean_abs_change"]):
        cells = (*(number(row[name], "+.3f") for name in names), number(row["mean_abs_change"], ".3f"))
        made.add_row(Text(row["setting"]), f"{row['value']:g}", *cells)
    if made.row_count:
        yield made
    if idle := [row["setting"] for row in rows if not row["mean_abs_change"]]:
        yield Text(f"without effect here: {', '.join(idle)}")


def number(value: float | None, form: str) -> str:
    """Return a number; a dash where it is undefined."""
    return "-" if value is None else format(value, form)
