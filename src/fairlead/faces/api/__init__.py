"""The control port: the JSON API under /api/v1, the console at /."""

from fairlead.faces.api.app import build_control_app

__all__ = ["build_control_app"]
