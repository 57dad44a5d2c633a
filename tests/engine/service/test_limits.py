import threading
import time

import duckdb
import pyarrow as pa
import pytest
from highwater.engine.service import limits
from highwater.engine.service.limits import AT_ONCE, limited, tables
from highwater.io.errors import BusyError, LimitError

ENDLESS = "SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range + b.range = -1"


def test_tables_are_known_by_name_and_no_file_is(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("a\n1\n")
    with tables(given=pa.table({"a": [1, 2]})) as database:
        assert [(3,)] == database.execute("SELECT sum(a) FROM given").fetchall()
        for sql in (f"FROM read_csv('{file}')", f"COPY given TO '{file}'", f"ATTACH '{file}.db'", "SET threads = 1"):
            with pytest.raises(duckdb.Error):
                database.execute(sql)

    with tables() as database, pytest.raises(duckdb.CatalogException):
        database.execute("FROM given")


def test_a_question_that_takes_too_long_is_stopped():
    began = time.monotonic()
    with pytest.raises(BusyError, match=r"longer than 0.1 s; ask for less"), limited(limits._memory(), 0.1) as database:
        database.execute(ENDLESS)

    assert 5 > time.monotonic() - began
    with tables() as database:
        assert [(1,)] == database.execute("SELECT 1").fetchall()


def test_a_question_that_is_asked_when_time_is_up_already_is_stopped():
    with pytest.raises(BusyError, match=r"longer than 0\.01 s"), limited(limits._memory(), 0.01) as database:
        threading.Event().wait(0.1)
        database.execute(ENDLESS)


def test_a_question_that_takes_too_much_memory_is_refused():
    small = duckdb.connect(":memory:", config={"memory_limit": "32MB", "temp_directory": ""})

    with pytest.raises(LimitError, match="needs more than 1024 MiB; ask for less"), limited(small) as database:
        database.execute("SELECT list(range) FROM range(20000000)").fetchall()
    small.close()


def test_only_so_many_are_asked_at_once():
    inside, leave = threading.Semaphore(0), threading.Event()

    def hold():
        with tables():
            inside.release()
            leave.wait(10)

    threads = [threading.Thread(target=hold) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for _ in threads:
        inside.acquire(timeout=10)
    try:
        with pytest.raises(BusyError, match="4 questions are being answered already"), limited(limits._memory(), 0.05):
            pass
    finally:
        leave.set()
        for thread in threads:
            thread.join()
    with tables() as database:
        assert [(1,)] == database.execute("SELECT 1").fetchall()
