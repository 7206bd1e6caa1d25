"""Addresses, prefixes, and the fewest routes."""
