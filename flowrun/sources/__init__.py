"""Project URI and version to an exact git tree."""
