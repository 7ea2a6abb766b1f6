"""The segment scan: the smallest slice that explains a change."""
