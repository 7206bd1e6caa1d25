"""The HTTP client: the library's interface to the address space of a service."""
