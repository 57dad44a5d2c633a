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
