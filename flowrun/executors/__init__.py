"""Jobs to processes, and how they ended."""
