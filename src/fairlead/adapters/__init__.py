"""One adapter for each neighbour: what the ports promise, done with a real database, file or library."""
