"""What is written down about a run, while it runs and when it ends."""
