"""The public methods by kind; see :mod:`borough.engine.face`."""
