"""The drivers of Borough, one module or folder each, found by name; see :mod:`borough.driver`."""
