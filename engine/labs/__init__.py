"""What the backtests of a lab are worth: figures, guards, replays, reports (METRICS.md)."""
