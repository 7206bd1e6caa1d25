"""The command line: a thin face of :class:`borough.engine.ipam.Ipam`."""
