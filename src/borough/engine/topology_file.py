"""Topology files: YAML or JSON text, or the mapping that it would hold, to a :class:`Topology`.

All problems of a file are collected, each with its line and field, and reported together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from borough.domain.address import Family, parse_address
from borough.domain.dimension import BUILT_IN, HOST, Dimension, Fallback, check_name, make_labels
from borough.domain.ladder import did_you_mean
from borough.domain.model import Host, Pool, Subnet
from borough.domain.prefix import Prefix, parse_prefix
from borough.domain.text import check_text
from borough.domain.topology import DEFAULT_SCOPE, Topology
from borough.engine.request import parse_attributes
from borough.engine.yaml_tree import SIZE_LIMIT, Node, Unreadable, plain_value, read_tree, tree_of
from borough.errors import FixInput, InvalidTopology

T = TypeVar("T")

#: Problems reported at once.
PROBLEMS: Final = 50

#: Weights go from minus this to plus this.
WEIGHT_LIMIT: Final = 1000

#: Longest cool-down, in seconds: a year.
COOLDOWN_LIMIT: Final = 365 * 24 * 3600

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_TOP = ("name", "dimensions", "scopes", "pools", "subnets", "hosts")
_DIMENSION = ("fallback", "claims")
_POOL = (
    "name",
    "scope",
    "prefixes",
    "minimum_length",
    "maximum_length",
    "default_length",
    "quota",
)
_SUBNET = (
    "name",
    "cidr",
    "scope",
    "gateway",
    "ranges",
    "labels",
    "weight",
    "project",
    "cooldown",
    "attributes",
)

_BUILT_IN: Final = {dimension.name: dimension for dimension in BUILT_IN}

#: Neutron's own defaults for subnet pools (neutron/ipam/subnet_alloc.py and the API reference).
_MINIMUM: Final[dict[int, int]] = {4: 8, 6: 64}
_MAXIMUM: Final[dict[int, int]] = {4: 32, 6: 128}


def load_topology(
    source: str | os.PathLike[str] | Mapping[str, Any], *, name: str | None = None
) -> Topology:
    """Read a topology from a file, or from the mapping that a file would hold.

    :param name: use this name instead of the one in the file.
    :raises InvalidTopology: ``detail['problems']`` lists line, field and reason of each problem.
    """
    if isinstance(source, Mapping):
        return _parse(lambda: tree_of(source), "", name)
    path = Path(source)
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise _invalid(str(path), [(None, "", f"larger than {SIZE_LIMIT} bytes")])
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(str(path), [(None, "", f"not UTF-8 text: {error.reason}")]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _invalid(str(path), [(None, "", f"cannot be read: {reason}")]) from None
    return parse_topology_text(text, filename=str(path), name=name)


def parse_topology_text(
    text: str, *, filename: str = "<text>", name: str | None = None
) -> Topology:
    """Read a topology from text; see :func:`load_topology`."""
    return _parse(lambda: read_tree(text), filename, name)


def parse_cooldown(value: object) -> int:
    """Read a cool-down: seconds, or text such as ``30s``, ``5m``, ``2h``, ``1d``.

    :return: seconds.
    :raises FixInput: for anything else, or more than a year.
    """
    found = None if isinstance(value, bool) else re.fullmatch(r"([0-9]{1,9})([smhd]?)", str(value))
    if not found or not found[0].isascii():
        raise FixInput(f"a cool-down is in seconds, or like 30s, 5m, 2h, 1d; not {value!r}")
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > COOLDOWN_LIMIT:
        raise FixInput(f"a cool-down is at most a year, not {value}")
    return seconds


def parse_range(text: str, prefix: Prefix) -> tuple[int, int]:
    """Read an allocation range ``first-last`` of a subnet.

    :raises FixInput: (or a subclass) when it is none, or does not lie in the subnet.
    """
    first_text, dash, last_text = str(text).partition("-")
    if not dash:
        raise FixInput(f"range {text!r} is not of the form first-last")
    ends = []
    for end in (first_text.strip(), last_text.strip()):
        family, address = parse_address(end)
        if family != prefix.family or not prefix.holds(address):
            raise FixInput(f"range {text!r} does not lie in {prefix}")
        ends.append(address)
    if ends[0] > ends[1]:
        raise FixInput(f"range {text!r} runs backwards")
    return ends[0], ends[1]


def _invalid(filename: str, problems: list[tuple[int | None, str, str]]) -> InvalidTopology:
    line, field, reason = problems[0]
    place = f"{filename}:{line}: " if line else f"{filename}: " if filename else ""
    more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
    return InvalidTopology(
        place + (f"{field}: " if field else "") + reason + more,
        file=filename or None,
        problems=[
            {"line": line, "field": field, "reason": reason} for line, field, reason in problems
        ],
    )


def _parse(tree: Callable[[], Node], filename: str, name: str | None) -> Topology:
    reader = _Reader()
    topology = None
    try:
        topology = reader.topology(tree(), name)
    except Unreadable as error:
        reader.problems.append((error.line, error.field, error.reason))
    if reader.problems or topology is None:
        raise _invalid(filename, reader.problems[:PROBLEMS])
    return topology


class _Reader:
    """Reads the tree and collects what is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[tuple[int | None, str, str]] = []

    def problem(self, node: Node, reason: str) -> None:
        """Note a problem."""
        self.problems.append((node.line, node.field, reason))

    @contextmanager
    def at(self, node: Node) -> Iterator[None]:
        """Note what is raised inside as a problem of a node."""
        try:
            yield
        except FixInput as error:
            self.problem(node, error.message)

    # --- Shapes ---------------------------------------------------------------------------------

    def fields(self, node: Node, known: tuple[str, ...] | None) -> dict[str, Node]:
        """A mapping, without the keys that nobody knows."""
        if node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self.problem(node, "must be a mapping")
            return {}
        if known is None:
            return node.value
        for key, value in node.value.items():
            if key not in known:
                hint = did_you_mean(key, known) or f"; known are {', '.join(known)}"
                self.problem(value, f"unknown field {key!r}{hint}")
        return {key: value for key, value in node.value.items() if key in known}

    def items(self, node: Node | None) -> list[Node]:
        """A list; nothing stands for none."""
        if node is None or node.value is None:
            return []
        if not isinstance(node.value, list):
            self.problem(node, "must be a list")
            return []
        return node.value

    def read(self, fields: Mapping[str, Node], key: str, parse: Callable[[Any], T], other: T) -> T:
        """One scalar field, parsed; ``other`` when it is not there or is wrong."""
        node = fields.get(key)
        if node is None:
            return other
        if node.value is None or isinstance(node.value, dict | list):
            self.problem(node, "must be a single value")
            return other
        with self.at(node):
            return parse(node.value)
        return other

    def required(self, node: Node, fields: Mapping[str, Node], key: str) -> bool:
        """Whether a field is there; a problem of the whole object when it is not."""
        if key not in fields:
            self.problem(node, f"{key} is missing")
        return key in fields

    # --- Objects --------------------------------------------------------------------------------

    def topology(self, tree: Node, name: str | None) -> Topology:
        """The whole file."""
        top = self.fields(tree, _TOP)
        chosen = self.read(top, "name", lambda value: check_text("name", value), "default")
        if name is not None:
            chosen = check_text("topology name", name)
        pools = [self.pool(node, chosen) for node in self.items(top.get("pools"))]
        subnets = [self.subnet(node, chosen) for node in self.items(top.get("subnets"))]
        made = Topology(
            name=chosen,
            dimensions=tuple(self.dimensions(top.get("dimensions"))),
            scopes=tuple(self.scopes(top.get("scopes"))),
            pools=tuple(pool for _, pool in pools if pool),
            subnets=tuple(subnet for _, subnet in subnets if subnet),
            hosts=tuple(self.hosts(top.get("hosts"), chosen)),
        )
        self._unique("pool", [(node, pool.name) for node, pool in pools if pool])
        self._unique("subnet", [(node, subnet.name) for node, subnet in subnets if subnet])
        self._disjoint(
            [(node, each.scope, each.prefix, each.name) for node, each in subnets if each]
        )
        self._disjoint(
            [
                (node, each.scope, prefix, each.name)
                for node, each in pools
                if each
                for prefix in each.prefixes
            ]
        )
        return made

    def _unique(self, kind: str, named: list[tuple[Node, str]]) -> None:
        first: dict[str, Node] = {}
        for node, name in named:
            if name in first:
                self.problem(_child(node, "name"), f"{kind} {name!r} is declared twice")
            first.setdefault(name, node)

    def _disjoint(self, placed: list[tuple[Node, str, Prefix, str]]) -> None:
        ordered = sorted(placed, key=lambda each: (each[1], each[2]))
        widest = ordered[:1]
        for node, scope, prefix, name in ordered[1:]:
            _, other_scope, other, other_name = widest[0]
            if scope == other_scope and other.covers(prefix):
                here = _child(node, "cidr" if "cidr" in node.value else "prefixes")
                self.problem(here, f"{prefix} of {name} overlaps {other} of {other_name}")
            else:
                widest = [(node, scope, prefix, name)]

    def dimensions(self, node: Node | None) -> Iterator[Dimension]:
        """The dimensions, ranked as they stand."""
        for rank, (name, body) in enumerate(self.fields(node, None).items() if node else ()):
            with self.at(body):
                check_name(name)
            built_in = _BUILT_IN.get(name)
            fields = self.fields(body, _DIMENSION)
            if built_in is None:
                self.required(body, fields, "fallback")
            fallback = self.read(
                fields, "fallback", _fallback, built_in.fallback if built_in else Fallback.ANY
            )
            claims = self.read(fields, "claims", _boolean, name == HOST)
            if claims and fallback is not Fallback.ANY:
                if "claims" in fields:
                    self.problem(fields["claims"], "only a dimension with fallback any can claim")
                claims = False
            yield Dimension(name, fallback, rank, claims)

    def scopes(self, node: Node | None) -> Iterator[str]:
        """The names of the scopes."""
        if node is None or node.value is None:
            return
        if isinstance(node.value, dict):
            for name, body in node.value.items():
                self.fields(body, ())
                with self.at(body):
                    yield check_text("scope", name)
            return
        for each in self.items(node):
            with self.at(each):
                yield check_text("scope", each.value)

    def pool(self, node: Node, source: str) -> tuple[Node, Pool | None]:
        """One pool."""
        before = len(self.problems)
        fields = self.fields(node, _POOL)
        if not (self.required(node, fields, "name") & self.required(node, fields, "prefixes")):
            return node, None
        prefixes = []
        for each in self.items(fields["prefixes"]):
            with self.at(each):
                prefixes.append(parse_prefix(_text(each.value)))
        if not prefixes:
            self.problem(fields["prefixes"], "a pool has at least one prefix")
            return node, None
        if len({prefix.family for prefix in prefixes}) > 1:
            self.problem(fields["prefixes"], "the prefixes of a pool are of one family")
            return node, None
        family = prefixes[0].family
        length = _whole(0, _MAXIMUM[family])
        minimum = self.read(fields, "minimum_length", length, _MINIMUM[family])
        maximum = self.read(fields, "maximum_length", length, _MAXIMUM[family])
        pool = Pool(
            id=0,
            name=self.read(fields, "name", lambda value: check_text("name", value), ""),
            scope=self.read(fields, "scope", _scope, DEFAULT_SCOPE),
            family=family,
            prefixes=tuple(sorted(prefixes)),
            minimum_length=minimum,
            maximum_length=maximum,
            default_length=self.read(fields, "default_length", length, minimum),
            quota=self.read(fields, "quota", _quota, None),
            source=source,
        )
        self._check_lengths(node, fields, pool)
        return node, pool if len(self.problems) == before else None

    def _check_lengths(self, node: Node, fields: Mapping[str, Node], pool: Pool) -> None:
        if not pool.minimum_length <= pool.default_length <= pool.maximum_length:
            wrong = fields.get("default_length") or fields.get("maximum_length") or node
            self.problem(
                wrong,
                f"lengths must be minimum {pool.minimum_length} <= default {pool.default_length} "
                f"<= maximum {pool.maximum_length}",
            )
        for prefix in pool.prefixes:
            if prefix.length > pool.maximum_length:
                self.problem(
                    fields["prefixes"],
                    f"{prefix} is longer than the maximum length {pool.maximum_length}",
                )

    def subnet(self, node: Node, source: str) -> tuple[Node, Subnet | None]:
        """One subnet."""
        before = len(self.problems)
        fields = self.fields(node, _SUBNET)
        if not (self.required(node, fields, "name") & self.required(node, fields, "cidr")):
            return node, None
        prefix = self.read(fields, "cidr", lambda value: parse_prefix(_text(value)), None)
        if prefix is None:
            return node, None
        subnet = Subnet(
            id=0,
            name=self.read(fields, "name", lambda value: check_text("name", value), ""),
            scope=self.read(fields, "scope", _scope, DEFAULT_SCOPE),
            prefix=prefix,
            gateway=self.read(fields, "gateway", lambda value: _gateway(value, prefix), None),
            ranges=tuple(self.ranges(fields.get("ranges"), prefix)),
            labels=self.labels(fields.get("labels")),
            weight=self.read(fields, "weight", _whole(-WEIGHT_LIMIT, WEIGHT_LIMIT), 0),
            project=self.read(fields, "project", lambda value: check_text("project", value), ""),
            cooldown=self.read(fields, "cooldown", parse_cooldown, 0),
            attributes=self.attributes(fields.get("attributes")),
            source=source,
        )
        return node, subnet if len(self.problems) == before else None

    def ranges(self, node: Node | None, prefix: Prefix) -> list[tuple[int, int]]:
        """The allocation ranges of a subnet, sorted."""
        found: list[tuple[int, int]] = []
        for each in self.items(node):
            text = each.value
            if isinstance(text, dict):
                ends = self.fields(each, ("first", "last"))
                text = "-".join(str(ends[end].value) for end in ("first", "last") if end in ends)
            elif isinstance(text, list):
                text = "-".join(str(end.value) for end in text)
            with self.at(each):
                first, last = parse_range(_text(text), prefix)
                if any(first <= end and start <= last for start, end in found):
                    raise FixInput(f"range {text!r} overlaps another one")
                found.append((first, last))
        return sorted(found)

    def labels(self, node: Node | None) -> dict[str, frozenset[str]]:
        """Labels: a value or a list of values by dimension."""
        made: dict[str, frozenset[str]] = {}
        for name, body in self.fields(node, None).items() if node else ():
            several = body.value if isinstance(body.value, list) else [body]
            for each in several:
                with self.at(each):
                    value = each.value
                    if isinstance(value, int) and not isinstance(value, bool):
                        value = str(value)
                    if not isinstance(value, str):
                        raise FixInput(f"a label of {name} must be text")
                    made[name] = made.get(name, frozenset()) | make_labels({name: value})[name]
        return dict(sorted(made.items()))

    def attributes(self, node: Node | None) -> Mapping[str, Any]:
        """Free attributes, as plain JSON."""
        if node is None:
            return {}
        self.fields(node, None)
        with self.at(node):
            return parse_attributes(plain_value(node))
        return {}

    def hosts(self, node: Node | None, source: str) -> Iterator[Host]:
        """The hosts and their labels."""
        for name, body in self.fields(node, None).items() if node else ():
            with self.at(body):
                check_text("host", name)
            labels = self.labels(body)
            if HOST in labels:
                self.problem(body.value[HOST], "a host is its own host; label it otherwise")
            yield Host(0, name, labels, source)


def _child(node: Node, key: str) -> Node:
    found: Node = node.value.get(key, node)
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FixInput(f"must be text, not {value!r}")
    return value


def _scope(value: Any) -> str:
    return check_text("scope", value)


def _fallback(value: Any) -> Fallback:
    try:
        return Fallback(value)
    except ValueError:
        raise FixInput(
            f"a fallback is none, unlabelled or any, not {value!r}"
            + did_you_mean(str(value), Fallback)
        ) from None


def _boolean(value: Any) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise FixInput(f"must be true or false, not {value!r}")


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        text = str(value)
        if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
            raise FixInput(f"must be a whole number, not {value!r}")
        if not low <= int(text) <= high:
            raise FixInput(f"must be from {low} to {high}, not {text}")
        return int(text)

    return parse


def _quota(value: Any) -> int | None:
    return _whole(0, 2**62)(value)


def _gateway(value: Any, prefix: Prefix) -> int | None:
    family, address = parse_address(_text(value))
    return check_gateway(family, address, prefix)


def check_gateway(family: Family, address: int, prefix: Prefix) -> int:
    """Accept a gateway of a subnet.

    :raises FixInput: when it is no address that somebody could hold there.
    """
    place = Subnet(0, "", "", prefix)
    if family != prefix.family or not prefix.holds(address) or address in place.never:
        raise FixInput(f"the gateway is no usable address of {prefix}")
    return address
