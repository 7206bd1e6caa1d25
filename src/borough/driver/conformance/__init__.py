"""The conformance kit: the contract of a group driver, as tests for any driver.

    pytest --pyargs borough.driver.conformance --driver NAME [--driver-config FILE]

See ``docs/reference/drivers.md``.
"""
