"""Logged models: the MLmodel file and where models live."""
