"""Tables larger than memory, as parts that are read one column at a time: Parquet, Delta, Arrow datasets, streams."""
