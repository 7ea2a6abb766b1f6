"""Sources of features: code that computes them, and stores in which they are looked up."""
