"""What can be decided again from what was kept: a module for each kind, and `operations.recounts` has them all."""
