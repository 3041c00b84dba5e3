"""The version, where `flowrun --version` can read it without importing anything else."""

__version__ = "0.1.0"
