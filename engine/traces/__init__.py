"""Indicator strategies: rules and their grammar, sparse traces of their signals, and what those would have earned."""
