"""Mathematics: arrays in, numbers out. No clock, no disk, no network, no hidden randomness."""
