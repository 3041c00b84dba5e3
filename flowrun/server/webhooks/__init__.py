"""Telling webhooks what changed: to allowed addresses only, signed, again if it fails."""
