"""Brokers: where messages come from, and where answers go."""
