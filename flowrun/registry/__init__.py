"""Registered models, their versions, stages, aliases and history."""
