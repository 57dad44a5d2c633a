import subprocess
import sys

WITHOUT = """
import sys
from highwater.__main__ import _NoPandas, _without_pandas
_without_pandas()
import pyarrow.compute
pyarrow.array(["a"]), pyarrow.compute.equal(pyarrow.array(["a"]), "a")
print("pandas" in sys.modules, _NoPandas in sys.meta_path)
import importlib.util
if importlib.util.find_spec("pandas"):
    import pandas
"""


def test_pyarrow_is_kept_from_importing_pandas_and_others_are_not():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)

    assert ("", "False False\n") == (done.stderr, done.stdout)


def test_a_command_that_makes_arrays_imports_no_pandas(tmp_path):
    (tmp_path / "AAA.csv").write_text("timestamp,open,high,low,close\n0,1,2,1,2\n60000,2,2,1,1\n")
    words = [sys.executable, "-X", "importtime", "-m", "highwater", "data", "check", "AAA.csv", "--time-unit", "ms"]

    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert (0, True, False) == (done.returncode, "pyarrow.lib" in done.stderr, "pandas." in done.stderr)
