"""Address space: blocks, free ranges, regions, and plans that change them."""
