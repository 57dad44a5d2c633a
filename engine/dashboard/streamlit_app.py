"""The script that Streamlit runs, once for each view of a page: ``streamlit run`` of this file, or highwater dashboard.

It has no package around it, so it finds its own by name. HIGHWATER_RUNS names the directory of runs.
"""

import importlib

importlib.import_module("highwater.engine.dashboard.frame").show()
