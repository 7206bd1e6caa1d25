"""The drivers that ship, one module or folder each, found by name; see :mod:`borough.driver`."""
