"""Text to frozen settings, with the line and the fix in every error."""
