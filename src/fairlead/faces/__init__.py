"""Thin skins over operations: command line, data plane, control plane and console, demo."""
