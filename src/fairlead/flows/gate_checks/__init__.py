"""The gate's measurements, one file a family: what a check looks at. What that means is judged in `core`."""
