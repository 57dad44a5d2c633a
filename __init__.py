"""Highwater: what happened after each alert, and which exits would have paid?

Three floors: ``highwater.kernels`` (compiled loops over flat arrays), ``highwater.io`` (bytes in, arrays out;
arrays in, files out) and ``highwater.engine`` (the recipe from alerts to a verdict, and its doors).
"""

__version__ = "0.1.0"
