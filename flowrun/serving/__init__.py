"""Serves and applies models: the front, the processes that predict, images and manifests."""
