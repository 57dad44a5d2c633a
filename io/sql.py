"""What DuckDB is told and tells, as text: names and literals of SQL, and why a file does not open."""


def quoted(text: object) -> str:
    """Return text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """Return the name of a column or table as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def is_in_use(error: BaseException) -> bool:
    """Return whether DuckDB could not open a file because it is open elsewhere."""
    return any(words in str(error) for words in ("lock on file", "different configuration"))
