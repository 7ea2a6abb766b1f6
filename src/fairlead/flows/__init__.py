"""The arrows: release, serve, watch. Shells around the decisions of `core`; they know ports, never adapters."""
