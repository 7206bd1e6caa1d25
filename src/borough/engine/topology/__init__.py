"""Reading, writing and applying topologies."""
