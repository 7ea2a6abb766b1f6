"""Trainers elsewhere: services that are asked over HTTP to train, and looked at until they have."""
