"""An entry point with many values of its parameters."""
