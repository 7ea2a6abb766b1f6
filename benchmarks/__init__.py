"""Benchmarks: programs that a person runs, each with its own printed answer; none is part of the package."""
