"""Logging what libraries train, without a call for it: one file for each library."""
