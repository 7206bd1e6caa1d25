"""Address lists in the formats of other programs."""
