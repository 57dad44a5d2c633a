"""Where candles and alerts come from: one file a source."""
