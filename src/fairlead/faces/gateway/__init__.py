"""The data plane: predictions, outcomes, health and metrics over HTTP, as one raw ASGI application."""
