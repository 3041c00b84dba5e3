"""Executes a recorded run again and compares, step by step."""
