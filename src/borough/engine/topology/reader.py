"""From the tree of a topology file to a :class:`Topology`, with a list of all that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, NamedTuple

from borough.domain.declared.dimensions import (
    BUILT_IN,
    HOST,
    SETTINGS,
    ClaimSettings,
    Dimension,
    Fallback,
    Settings,
    check_name,
    check_value,
)
from borough.domain.declared.records import Host, Pool, Subnet
from borough.domain.declared.topology import DEFAULT_SCOPE, Topology
from borough.domain.net.addresses import WIDTH
from borough.domain.net.prefixes import Prefix, merge_intervals, parse_prefix
from borough.domain.text import check_text
from borough.engine.request import parse_attributes
from borough.engine.topology.settings import (
    CLAIMING,
    SUBNET_FIELDS,
    WEIGHT_LIMIT,
    check_claiming,
    parse_boolean,
    parse_cooldown,
    parse_fallback,
    parse_gateway,
    parse_range,
    parse_text,
    whole,
)
from borough.engine.topology.tree_reader import TreeReader
from borough.engine.topology.yaml_tree import Node, plain_value
from borough.errors import FixInput

_TOP = ("name", "dimensions", "scopes", "pools", "subnets", "hosts")
_DIMENSION = ("fallback", "claims", "declared")
_POOL = (
    "name",
    "scope",
    "prefixes",
    "minimum_length",
    "maximum_length",
    "default_length",
    "quota",
)

#: What cannot be read without the subnet's prefix.
_ADDRESSES = ("gateway", "ranges", "exclude")

_BUILT_IN: Final = {dimension.name: dimension for dimension in BUILT_IN}

#: Neutron's own defaults for subnet pools (neutron/ipam/subnet_alloc.py and the API reference).
_MINIMUM: Final[dict[int, int]] = {4: 8, 6: 64}


class Reader(TreeReader):
    """Reads the tree of a topology and collects what is wrong with it."""

    def topology(self, tree: Node, name: str | None) -> Topology:
        """The whole file."""
        top = self.fields(tree, _TOP)
        chosen = self.read(top, "name", _named("name"), "default")
        if name is not None:
            chosen = check_text("topology name", name)
        pools = [(node, self.pool(node, chosen)) for node in self.items(top.get("pools"))]
        subnets = [(node, self.subnet(node, chosen)) for node in self.items(top.get("subnets"))]
        good_pools = [(node, pool) for node, pool in pools if pool]
        good_subnets = [(node, subnet) for node, subnet in subnets if subnet]
        self._unique("pool", good_pools)
        self._unique("subnet", good_subnets)
        self._disjoint(
            _Placed(_child(node, "cidr"), each.scope, each.prefix, each.name)
            for node, each in good_subnets
        )
        self._disjoint(
            _Placed(_child(node, "prefixes"), each.scope, prefix, each.name)
            for node, each in good_pools
            for prefix in each.prefixes
        )
        return Topology(
            name=chosen,
            dimensions=tuple(self.dimensions(top.get("dimensions"))),
            scopes=tuple(self.scopes(top.get("scopes"))),
            pools=tuple(pool for _, pool in good_pools),
            subnets=tuple(subnet for _, subnet in good_subnets),
            hosts=tuple(self.hosts(top.get("hosts"), chosen)),
        )

    def _unique(self, kind: str, found: Iterable[tuple[Node, Pool | Subnet]]) -> None:
        seen: set[str] = set()
        for node, each in found:
            if each.name in seen:
                self.problem(_child(node, "name"), f"{kind} {each.name!r} is declared twice")
            seen.add(each.name)

    def _disjoint(self, placed: Iterable[_Placed]) -> None:
        ordered = sorted(placed, key=lambda each: (each.scope, each.prefix))
        if not ordered:
            return
        widest = ordered[0]
        for each in ordered[1:]:
            if each.scope != widest.scope or not widest.prefix.covers(each.prefix):
                widest = each
                continue
            # What was written first stays; what came later is in its way.
            later = (each, widest) if _line(each) >= _line(widest) else (widest, each)
            this, other = later
            self.problem(
                this.node, f"{this.prefix} of {this.name} overlaps {other.prefix} of {other.name}"
            )

    def dimensions(self, node: Node | None) -> list[Dimension]:
        """The dimensions, ranked as they stand."""
        return [
            self.dimension(name, body, rank)
            for rank, (name, body) in enumerate(self.mapping(node).items())
        ]

    def dimension(self, name: str, body: Node, rank: int) -> Dimension:
        """One dimension; a built-in one need not say more than its name."""
        with self.at(body):
            check_name(name)
        built_in = _BUILT_IN.get(name)
        fields = {} if body.value is None else self.fields(body, _DIMENSION)
        if built_in is None:
            self.required(body, fields, "fallback")
        usual = built_in.fallback if built_in else Fallback.ANY
        fallback = self.read(fields, "fallback", parse_fallback, usual)
        node = fields.get("claims")
        settings: Settings = {}
        if node is not None and isinstance(node.value, dict):
            claims, settings = True, self.claiming(node)
        else:
            claims = self.read(fields, "claims", parse_boolean, name == HOST)
        if claims and fallback is not Fallback.ANY:
            if "claims" in fields:
                self.problem(fields["claims"], "only a dimension with fallback any can claim")
            claims = False
        declared = self.read(fields, "declared", parse_boolean, False)
        if declared and name != HOST:
            self.problem(fields["declared"], "only dimension host admits declared values only")
        claiming = ClaimSettings().with_settings(settings)
        return Dimension(name, fallback, rank, claims, claiming, declared)

    def claiming(self, node: Node | None) -> Settings:
        """Settings of claims."""
        if node is None:
            return {}
        fields = self.fields(node, tuple(CLAIMING))
        settings = {name: self.read(fields, name, CLAIMING[name], None) for name in fields}
        known = {name: value for name, value in settings.items() if value is not None}
        with self.at(node):
            check_claiming(known)
        return known

    def scopes(self, node: Node | None) -> list[str]:
        """The names of the scopes."""
        named: list[tuple[Any, Node]]
        if node is not None and isinstance(node.value, dict):
            named = list(node.value.items())
            for _, body in named:
                if body.value is not None:
                    self.fields(body, ())
        else:
            named = [(each.value, each) for each in self.items(node)]
        found: dict[str, None] = {}
        for name, each in named:
            with self.at(each):
                scope = check_text("scope", name)
                if scope in found:
                    raise FixInput(f"scope {scope!r} is declared twice")
                found[scope] = None
        return list(found)

    def pool(self, node: Node, source: str) -> Pool | None:
        """One pool; None when something is wrong with it."""
        before = len(self.problems)
        fields = self.fields(node, _POOL)
        self.required(node, fields, "name")
        self.required(node, fields, "prefixes")
        prefixes = self.prefixes(fields.get("prefixes"))
        family = prefixes[0].family if prefixes else 6
        length = whole(0, WIDTH[family])
        minimum = self.read(fields, "minimum_length", length, _MINIMUM[family])
        pool = Pool(
            id=0,
            name=self.read(fields, "name", _named("name"), ""),
            scope=self.read(fields, "scope", _named("scope"), DEFAULT_SCOPE),
            family=family,
            prefixes=tuple(sorted(prefixes)),
            minimum_length=minimum,
            maximum_length=self.read(fields, "maximum_length", length, WIDTH[family]),
            default_length=self.read(fields, "default_length", length, minimum),
            quota=self.read(fields, "quota", _quota, None),
            source=source,
        )
        if len(self.problems) == before:
            self._check_lengths(node, fields, pool)
        return pool if len(self.problems) == before else None

    def prefixes(self, node: Node | None) -> list[Prefix]:
        """The prefixes of a pool, all of one family."""
        before = len(self.problems)
        found: list[Prefix] = []
        for each in self.items(node):
            with self.at(each):
                prefix = parse_prefix(parse_text(each.value))
                if found and found[0].family != prefix.family:
                    raise FixInput(f"{prefix}: the prefixes of a pool are of one family")
                found.append(prefix)
        if node and not found and len(self.problems) == before:
            self.problem(node, "a pool has at least one prefix")
        return found

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

    def subnet(self, node: Node, source: str) -> Subnet | None:
        """One subnet; None when something is wrong with it."""
        before = len(self.problems)
        fields = self.fields(node, SUBNET_FIELDS)
        self.required(node, fields, "name")
        self.required(node, fields, "cidr")
        prefix = self.read(fields, "cidr", lambda value: parse_prefix(parse_text(value)), None)
        if prefix is None:
            # Nothing can be said about these without it; all other fields are looked at.
            fields = {key: each for key, each in fields.items() if key not in _ADDRESSES}
        place = prefix or Prefix(6, 0, 0)
        subnet = Subnet(
            id=0,
            name=self.read(fields, "name", _named("name"), ""),
            scope=self.read(fields, "scope", _named("scope"), DEFAULT_SCOPE),
            prefix=place,
            gateway=self.read(fields, "gateway", lambda value: parse_gateway(value, place), None),
            ranges=self.ranges(fields["ranges"], place) if "ranges" in fields else None,
            excluded=self.excluded(fields.get("exclude"), place),
            closed=self.read(fields, "closed", parse_boolean, default=False),
            labels=self.labels(fields.get("labels")),
            weight=self.read(fields, "weight", whole(-WEIGHT_LIMIT, WEIGHT_LIMIT), 0),
            project=self.read(fields, "project", _named("project"), ""),
            cooldown=self.read(fields, "cooldown", parse_cooldown, 0),
            claiming=self.claiming(fields.get("claims")),
            attributes=self.attributes(fields.get("attributes")),
            source=source,
        )
        return subnet if len(self.problems) == before else None

    def ranges(self, node: Node, prefix: Prefix) -> tuple[tuple[int, int], ...]:
        """The allocation ranges of a subnet, sorted."""
        found: list[tuple[int, int, int]] = []
        nodes = self.items(node)
        for at, each in enumerate(nodes):
            with self.at(each):
                found.append((*parse_range(_range_text(each), prefix), at))
        found.sort()
        for (_, end, one), (start, _, other) in pairwise(found):
            if start <= end:
                self.problem(nodes[max(one, other)], "overlaps another range")
        return tuple((first, last) for first, last, _ in found)

    def excluded(self, node: Node | None, prefix: Prefix) -> tuple[tuple[int, int], ...]:
        """The addresses of a subnet that its ranges leave out, sorted and joined."""
        found: list[tuple[int, int]] = []
        for each in self.items(node):
            with self.at(each):
                found.append(parse_range(_range_text(each), prefix))
        return tuple(merge_intervals(found))

    def labels(self, node: Node | None) -> dict[str, frozenset[str]]:
        """Labels: a value or a list of values by dimension."""
        made: dict[str, frozenset[str]] = {}
        for name, body in self.mapping(node).items():
            with self.at(body):
                check_name(name)
            values = set()
            for each in body.value if isinstance(body.value, list) else [body]:
                with self.at(each):
                    values.add(_label(name, each.value))
            if values:
                made[name] = frozenset(values)
        return dict(sorted(made.items()))

    def attributes(self, node: Node | None) -> Mapping[str, Any]:
        """Free attributes, as plain JSON."""
        found: Mapping[str, Any] = {}
        if node is not None and self.mapping(node):
            with self.at(node):
                found = parse_attributes(plain_value(node))
        return found

    def hosts(self, node: Node | None, source: str) -> list[Host]:
        """The hosts, their labels, and what they claim."""
        found = []
        for name, body in self.mapping(node).items():
            with self.at(body):
                check_text("host", name)
            fields = dict(self.mapping(body)) if body.value is not None else {}
            claiming = self.claiming(fields.pop(SETTINGS, None))
            labels = self.labels(replace(body, value=fields))
            if HOST in labels:
                self.problem(fields[HOST], "a host is its own host; label it otherwise")
            found.append(Host(0, name, labels, source, claiming))
        return found


class _Placed(NamedTuple):
    """A prefix of a scope, and where it was declared."""

    node: Node
    scope: str
    prefix: Prefix
    name: str


def _line(placed: _Placed) -> int:
    return placed.node.line or 0


def _child(node: Node, key: str) -> Node:
    found: Node = node.value[key]
    return found


def _named(what: str) -> Callable[[Any], str]:
    return lambda value: check_text(what, value)


def _quota(value: Any) -> int | None:
    return whole(0, 2**62)(value) or None


def _label(name: str, value: Any) -> str:
    # A mapping that came from JSON has numbers where YAML has their text.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return check_value(name, text)


def _range_text(node: Node) -> str:
    """A range in one text, whichever way it was written."""
    if isinstance(node.value, dict):
        if set(node.value) != {"first", "last"}:
            raise FixInput("a range has first and last")
        return "-".join(parse_text(node.value[end].value) for end in ("first", "last"))
    if isinstance(node.value, list):
        if len(node.value) != 2:
            raise FixInput("a range has a first and a last address")
        return "-".join(parse_text(end.value) for end in node.value)
    return parse_text(node.value)
