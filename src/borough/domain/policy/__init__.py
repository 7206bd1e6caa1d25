"""Decisions: selection, placement, allocation, reassignment, reclaim, explanations."""
