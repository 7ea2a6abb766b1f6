"""The console: one page that shows a model's whole life, drawn on the server."""

from fairlead.faces.console.app import build_console

__all__ = ["build_console"]
