"""The trades of a run of sessions, as its page reads them: of all symbols or of one, and numbers in R."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, tzinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...io.errors import MissingError
from ..session.calendar import hours
from ..session.config import Config
from ..session.given import instrument_of
from .read import Read, rows


@dataclass(frozen=True)
class Sessions:
    """The trades of a run of sessions, of all symbols or of ``only`` one, as columns, oldest exit first."""

    run: Read
    config: Config
    only: str | None
    table: pa.Table
    columns: Mapping[str, Any]

    @property
    def scope(self) -> str:
        """What the equity is of."""
        return self.only or "combined"

    def row(self) -> dict[str, Any]:
        """Return the metrics of what is reported."""
        return next(row for row in rows(self.run.table("symbols")) if row["symbol"] == self.only)

    def of(self, artifact: str) -> pa.Table:
        """Return an artifact's rows of what is reported."""
        found = self.run.table(artifact)
        return found if self.only is None else found.filter(pc.equal(found["symbol"], self.only))

    def zone(self, symbol: str) -> tzinfo:
        """Return the time zone of a symbol's exchange; UTC where its calendar is not installed."""
        form = self.run.manifest.config
        instrument = instrument_of(symbol, self.config, form["source"] == "binance")
        try:
            return hours(instrument, date.fromisoformat(form["start"]), date.fromisoformat(form["end"])).zone
        except MissingError:
            return UTC


def columns_of(found: pa.Table) -> dict[str, Any]:
    """Return a table as columns: numbers as arrays, texts as arrays of them, flags masked where they are null."""
    made: dict[str, Any] = {}
    for field in found.schema:
        values = found[field.name]
        if pa.types.is_boolean(field.type):
            mask = pc.is_null(values).to_numpy(zero_copy_only=False)
            made[field.name] = np.ma.array(pc.fill_null(values, False).to_numpy(zero_copy_only=False), mask=mask)
        elif pa.types.is_string(field.type):
            made[field.name] = np.array(values.to_pylist(), object)
        else:
            made[field.name] = values.to_numpy(zero_copy_only=False)
    return made


def in_r(value: float | None, digits: int = 2) -> str:
    """Return R with its sign."""
    return "–" if value is None else f"{value:+.{digits}f} R"


def words(name: str) -> str:
    """Return the name of a metric in words: total R without best day."""
    return " ".join("R" if word == "r" else word for word in name.split("_"))
