"""Where answers to a table go: Parquet, CSV, Delta. Parts are written apart, and become the output all at once."""
