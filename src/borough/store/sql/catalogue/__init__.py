"""The declared objects in SQL."""
