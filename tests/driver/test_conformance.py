"""The conformance kit passes correct drivers, and fails faulty ones with the right test."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import ClassVar

import pytest

from borough.driver.feature import Feature

KIT = "borough.driver.conformance"


class Recorder:
    """The results of the tests."""

    def __init__(self) -> None:
        self.failed: set[str] = set()
        self.passed = 0
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rpartition("::")[2].partition("[")[0]
        if report.failed:
            self.failed.add(name)
        elif report.skipped:
            self.skipped.append(name)
        elif report.when == "call":
            self.passed += 1


def run_kit(driver: str, *options: str) -> tuple[int, Recorder, str]:
    """Run the kit in this process."""
    recorder, said = Recorder(), io.StringIO()
    arguments = ["--pyargs", KIT, "--driver", driver, "-p", "no:cacheprovider", "-q", "--tb=no"]
    with contextlib.redirect_stdout(said):
        code = pytest.main([*arguments, *options], plugins=[recorder])
    return int(code), recorder, said.getvalue()


@pytest.fixture
def native_settings(tmp_path: Path) -> str:
    path = tmp_path / "native.yaml"
    path.write_text("database: 'memory:'\n")
    return str(path)


def test_the_native_driver_passes_in_full(native_settings: str) -> None:
    """Nothing is skipped, and the table has a line for each feature."""
    code, seen, said = run_kit("native", "--driver-config", native_settings)
    assert (code, seen.failed, seen.skipped) == (0, set(), [])
    lines = [line for line in said.splitlines() if " yes (" in line]
    assert [line.partition("  ")[0].rstrip() for line in lines] == [each.value for each in Feature]


@pytest.mark.parametrize("driver", ["ClassicDriver", "ForgetfulDriver", "WholeDriver"])
def test_a_classic_driver_passes_through_the_shim(driver: str) -> None:
    """Only the two features that the shim lacks are skipped."""
    code, seen, said = run_kit(f"tests.driver.classic:{driver}")
    assert (code, seen.failed) == (0, set())
    assert seen.skipped == ["test_a_released_address_cools_down", "test_a_host_claims_a_block"]
    assert "lacks (the system may allocate a released address again at once)" in said


#: The planted fault, and the test that must find it. Other tests may find it too.
FAULTS = {
    "IgnoresBoundaries": "test_a_hard_label_excludes_requests_without_it",
    "NeverFallsBack": "test_a_full_typed_group_falls_back_to_unlabelled_subnets_only",
    "KeepsSoftBoundaries": "test_a_full_soft_group_falls_back_to_any_subnet",
    "ForgetsHosts": "test_a_host_returns_to_the_subnet_that_it_used_last",
    "ImpliesNothing": "test_a_host_stays_on_its_segment",
    "SortsNamedSubnets": "test_subnets_by_name_are_used_in_their_order",
    "IgnoresWeight": "test_the_heavier_of_equal_subnets_goes_first",
    "IgnoresRank": "test_the_rank_of_the_dimensions_decides",
    "Straddles": "test_several_addresses_do_not_straddle_segments",
    "KeepsTheFirstHalf": "test_all_or_none",
    "NextIsAny": "test_next_is_the_lowest_free_address",
    "AllocatesAnother": "test_an_address_by_name",
    "AllocatesOutsideTheGroup": "test_an_address_outside_the_group_is_refused",
    "IgnoresRanges": "test_ranges_and_gateway_are_respected",
    "AllocatesTheGateway": "test_the_gateway_is_allocated_on_request",
    "MakesUpIdentifiers": "test_an_address_from_a_mac_address",
    "MergesScopes": "test_scopes_may_overlap",
    "ForgetsOwners": "test_release_by_owner_frees_all_its_addresses",
    "ForgetsKeys": "test_the_same_key_gets_the_same_address",
    "RepeatsReleasedAddresses": "test_a_key_is_spent_after_its_addresses_are_released",
    "ReleasesStale": "test_a_stale_sequence_is_refused",
    "ReleasesQuietly": "test_a_released_address_can_be_allocated_again",
    "AllocatesAgainAtOnce": "test_a_released_address_cools_down",
    "CallsEverythingExhausted": "test_no_matching_subnet_differs_from_exhausted",
    "StopsAtTheFirstSubnet": "test_many_callers_get_every_address_once",
    "ChecksThenAllocates": "test_many_callers_get_every_address_once",
    "ClaimsNothing": "test_a_host_claims_a_block",
    "LeavesSixOut": "test_both_families_in_one_request",
    "SkipsLastAddresses": "test_usable_addresses_of_ipv6",
    "IgnoresCounts": "test_many_at_once",
    "Raises": "test_a_full_hard_group_fails",
}

#: Faults that show in many places at once; the others fail five tests at most.
BROAD = {
    "Raises",
    "IgnoresCounts",
    "IgnoresBoundaries",
    "ChecksThenAllocates",
    "StopsAtTheFirstSubnet",
    "Straddles",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_fails_the_right_test(fault: str) -> None:
    """The table names the test."""
    code, seen, said = run_kit(f"tests.driver.faulty:{fault}")
    assert code == 1
    assert FAULTS[fault] in seen.failed
    assert f"FAILS {FAULTS[fault]}" in said or FAULTS[fault] in said
    assert fault in BROAD or len(seen.failed) <= 5, seen.failed


def test_every_feature_is_tested() -> None:
    """A feature without a test would have an empty line in the table."""

    class Collected:
        features: ClassVar[set[Feature]] = set()

        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            for item in items:
                for mark in item.iter_markers("needs"):
                    self.features.update(mark.args)

    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["--pyargs", KIT, "--collect-only", "-q"], plugins=[Collected()])
    assert Collected.features == set(Feature)


@pytest.fixture(autouse=True)
def _no_nested_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inner run is no worker of pytest-xdist."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


def test_a_run_without_a_driver_names_the_option() -> None:
    """It is a usage error."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main(["--pyargs", KIT, "-p", "no:cacheprovider"])
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "--driver NAME" in said.getvalue()
