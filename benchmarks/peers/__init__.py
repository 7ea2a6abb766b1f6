"""The systems that fairlead is compared with, from their own packages, each in an environment of its own."""
