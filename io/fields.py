"""How the schemas of tables are written down: their kinds of columns, and many fields in a line."""

import pyarrow as pa

TEXT, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def fields_of(kind: pa.DataType, names: str) -> list[pa.Field]:
    """Return one field a name; a name ending in ``!`` may not be null."""
    return [pa.field(name.rstrip("!"), kind, nullable=not name.endswith("!")) for name in names.split()]
