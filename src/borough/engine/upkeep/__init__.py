"""Audit, reclaim, hosts that leave, defragmentation."""
