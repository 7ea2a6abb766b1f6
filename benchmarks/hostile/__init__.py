"""Traffic that means the gateway no good: what is sent, how it is sent, and the worker that gets it."""
