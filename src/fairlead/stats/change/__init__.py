"""The fits that a series of slots is explained by."""
