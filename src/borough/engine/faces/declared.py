"""The public methods that change what is declared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from borough.domain.declared.topology import Changes, Topology
from borough.engine.actions import Actions
from borough.engine.faces.takes import takes
from borough.engine.topology.apply import load
from borough.engine.topology.change import parse_change
from borough.engine.topology.replacing import ReplaceRequest, parse_replacement
from borough.engine.topology.subnets import Draft
from borough.engine.views import (
    SubnetView,
)


class DeclaredFace(Actions):
    """Methods of declared objects."""

    def apply(
        self,
        source: Topology | Mapping[str, Any] | str | os.PathLike[str],
        *,
        dry_run: bool = False,
        name: str | None = None,
        version: int | None = None,
    ) -> Changes:
        """Apply a topology as a whole.

        :param source: a topology, the mapping of its file, or the path of its file.
        :param dry_run: only report the changes.
        :param name: apply it under this name instead of its own.
        :param version: only when the declared objects are still at this version.
        :return: the changes; false when there are none.
        :raises InvalidTopology: the file is not valid; the error names line and field.
        :raises WouldStrand: allocations would lose their subnet.
        :raises Overlap: subnets or pools of one scope would overlap.
        :raises InUse: another object refers to a removed one.
        :raises StaleVersion: the declared objects have changed since that version.
        """
        return self._apply(load(source, name), dry_run, version)

    def allocate_subnet(
        self,
        pool: str,
        *,
        prefix_length: int | None = None,
        cidr: str | None = None,
        **settings: Any,
    ) -> SubnetView:
        """Carve a subnet out of a pool, by length or by exact prefix.

        :param prefix_length: its length, by default that of the pool.
        :param cidr: the exact prefix.
        :param settings: see :meth:`add_subnet`.
        :raises UnknownObject: there is no such pool.
        :raises FixInput: the pool does not allow the length or prefix.
        :raises Overlap: the prefix is taken.
        :raises PoolExhausted: no free prefix is large enough.
        :raises QuotaExceeded: the subnets of the owner would exceed the quota.
        """
        draft = Draft.parse(pool=pool, prefix_length=prefix_length, cidr=cidr, **settings)
        return self._add_subnet(draft)

    def add_subnet(self, cidr: str, **settings: Any) -> SubnetView:
        """Add a subnet outside any topology and pool.

        :param settings: see :meth:`borough.engine.topology.subnets.Draft.parse`.
        :raises FixInput: a setting is not allowed.
        :raises Overlap: it overlaps another subnet of its scope.
        """
        return self._add_subnet(Draft.parse(cidr=cidr, **settings))

    def change_subnet(
        self, name: str, /, *, dry_run: bool = False, version: int | None = None, **fields: Any
    ) -> Changes:
        """Change fields of one declared subnet, and leave the others as they are.

        :param fields: as in a topology file: ``name``, ``cidr``, ``scope``, ``gateway``, ``ranges``,
            ``exclude``, ``closed``, ``labels``, ``weight``, ``project``, ``cooldown``, ``claims``,
            ``attributes``. None puts a field back to its default. Of labels, claims and attributes only the
            named ones change, and None removes one.
        :param dry_run: only find out what would change.
        :param version: only if the declared objects still have this version.
        :return: the changes and their effects, and the topology whose file would change the subnet back.
        :raises UnknownObject: there is no such subnet or scope.
        :raises FixInput: there is no such field, or a value is not allowed.
        :raises Overlap: it would overlap another subnet of its scope.
        :raises UnknownDimension: a label is in no known dimension.
        :raises QuotaExceeded: a project would hold more of a pool than its quota.
        :raises WouldStrand: allocated addresses would fall out of it.
        :raises StaleVersion: the declared objects have another version.
        """
        return self._change(parse_change("subnet", name, fields, dry_run=dry_run, version=version))

    def change_host(
        self, name: str, /, *, dry_run: bool = False, version: int | None = None, **fields: Any
    ) -> Changes:
        """Change ``labels`` and ``claims`` of one declared host, and leave the others as they are.

        :param fields: see :meth:`change_subnet`.
        :raises UnknownObject: no such host is declared.
        :raises FixInput: there is no such field, or a value is not allowed.
        :raises UnknownDimension: a label is in no known dimension.
        :raises StaleVersion: the declared objects have another version.
        """
        return self._change(parse_change("host", name, fields, dry_run=dry_run, version=version))

    def remove_subnet(self, name: str) -> SubnetView:
        """Remove a subnet; the prefix of a carved one returns to its pool.

        :raises UnknownObject: there is no such subnet.
        :raises WouldStrand: it has allocations; the error lists them.
        """
        return self._remove_subnet(name)

    @takes(parse_replacement)
    def replace_subnets(self, request: ReplaceRequest) -> Changes:
        """Put some subnets in the place of others: to edit, close, split, merge, add or remove them.

        Addresses follow to the subnet that contains them. All of it happens, or nothing. A subnet of a
        topology stays its own: the next application of its file declares it as the file says.

        Parameters: see :func:`borough.engine.topology.replacing.parse_replacement`.

        :return: the changes with their effects; false when there are none.
        :raises UnknownObject: there is no subnet of an old name.
        :raises WouldStrand: allocations would lose their subnet.
        :raises Overlap: subnets of one scope would overlap.
        :raises InUse: the old subnets belong to several topologies.
        :raises FixInput: a setting is not allowed.
        """
        return self._replace_subnets(request)
