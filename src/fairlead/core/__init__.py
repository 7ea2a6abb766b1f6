"""Decisions: frozen values in, frozen values out, with the reason. No IO, no clock, no randomness, no logging."""
