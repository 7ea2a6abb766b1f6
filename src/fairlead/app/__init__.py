"""The composition root and the processes: supervisor, gateway worker, controller."""
