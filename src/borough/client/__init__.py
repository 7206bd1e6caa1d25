"""The HTTP client: address space behind a service, with the library's interface."""
