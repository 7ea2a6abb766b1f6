"""Every verb that a person, a program or an agent may use: one typed function each, grouped by noun."""
