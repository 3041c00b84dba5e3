"""A run as a page that people read: one HTML file, without anything from elsewhere."""
