"""Carries out a plan and records it."""
