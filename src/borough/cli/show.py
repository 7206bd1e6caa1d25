"""``borough show``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from borough.cli.addresses import block_text, show_allocations
from borough.cli.command import command
from borough.cli.options import any_scope_option, words
from borough.cli.output import Column, Page, emit, labels_text, ranges_text, scope_text, to_json
from borough.cli.state import GlobalOptions, pass_state
from borough.domain.encode import rfc3339
from borough.domain.net.addresses import WIDTH
from borough.engine.face import Face
from borough.engine.history import place_of
from borough.engine.views import Allocation, BlockView, HostView, SubnetView
from borough.errors import UnknownObject

#: Most addresses of a host, an owner, a subnet or a prefix.
_LISTED: Final = 100

_SUBNETS: Final = (
    Column("subnet", soft=True),
    Column("prefix"),
    Column("scope", soft=True),
    Column("labels", soft=True),
)


@command("show", example="borough show 10.64.0.1")
@click.argument("what", metavar="ADDRESS|PREFIX|SUBNET|HOST|OWNER", type=words)
@any_scope_option()
@pass_state
def show(state: GlobalOptions, what: str, scope: str | None) -> None:
    """Show an address, a prefix, a subnet, a host or an owner.

    An address may have the length of its prefix, as tables print it. Of a prefix, a subnet, a host or an
    owner the first 100 addresses are listed.
    """
    within = place_of(what)
    with state.open() as ipam:
        if within is not None and within.length == WIDTH[within.family]:
            found = ipam.show(what, scope=scope or "default")
            emit(state, found, lambda page: _show_address(page, found))
            return
        data, print_ = _prefix(ipam, what, scope) if within else _named(ipam, what, scope)
    emit(state, data, print_)


_Answer = tuple[dict[str, Any], Callable[[Page], None]]


def _prefix(ipam: Face, text: str, scope: str | None) -> _Answer:
    within = place_of(text)
    assert within is not None
    subnets = [
        each
        for each in ipam.subnets(scope=scope)
        if (place := place_of(each.prefix)) is not None and place.overlaps(within)
    ]
    held = ipam.allocations(prefix=text, scope=scope, limit=_LISTED)

    def show_it(page: Page) -> None:
        _show_subnets(page, subnets)
        _show_held(page, held)

    return {"allocations": held, "prefix": text, "subnets": subnets}, show_it


def _named(ipam: Face, name: str, scope: str | None) -> _Answer:
    """A subnet, else a host, else an owner.

    :raises UnknownObject: there is none of them.
    """
    subnet = next((each for each in ipam.subnets(scope=scope) if each.name == name), None)
    if subnet is not None:
        inside = ipam.allocations(subnet=name, limit=_LISTED)
        data = {"allocations": inside, "subnet": subnet}
        return data, lambda page: _show_subnet(page, subnet, inside)
    declared = next((each for each in ipam.hosts() if each.name == name), None)
    blocks = [each for each in ipam.blocks(host=name) if scope in (None, each.scope)]
    held = ipam.allocations(host=name, scope=scope, limit=_LISTED)
    if declared or blocks or held:
        data = {"allocations": held, "host": declared, "blocks": blocks}
        return data, lambda page: _show_host(page, name, declared, blocks, held)
    owned = ipam.allocations(owner=name, scope=scope, limit=_LISTED)
    if not owned:
        raise UnknownObject(
            f"there is no subnet, host or owner {name!r}", kind="subnet, host or owner", name=name
        )
    return {"allocations": owned, "owner": name}, lambda page: _show_held(page, owned)


def _show_subnets(page: Page, subnets: Sequence[SubnetView]) -> None:
    if subnets:
        page.table(
            _SUBNETS,
            [
                (each.name, each.prefix, scope_text(each.scope), labels_text(each.labels))
                for each in subnets
            ],
        )
        page.line()


def _show_held(page: Page, held: Sequence[Allocation]) -> None:
    if held:
        show_allocations(page, held)
    else:
        page.line("No addresses.")


def _show_subnet(page: Page, subnet: SubnetView, held: Sequence[Allocation]) -> None:
    page.facts(
        [
            ("subnet", subnet.name),
            ("prefix", subnet.prefix),
            ("scope", subnet.scope),
            ("gateway", subnet.gateway),
            ("labels", labels_text(subnet.labels)),
            ("ranges", ranges_text(subnet)),
            ("pool", subnet.pool),
            ("project", subnet.project),
            ("topology", subnet.source),
        ]
    )
    page.line()
    _show_held(page, held)


def _show_host(
    page: Page,
    name: str,
    declared: HostView | None,
    blocks: Sequence[BlockView],
    held: Sequence[Allocation],
) -> None:
    page.facts(
        [
            ("host", name),
            ("declared", "yes" if declared else "no"),
            ("labels", labels_text(declared.labels) if declared else ""),
            ("claims", ", ".join(dict.fromkeys(each.region for each in blocks))),
        ]
    )
    page.line()
    _show_held(page, held)


def _show_address(page: Page, found: Allocation) -> None:
    attributes = to_json(dict(found.attributes), indent=None) if found.attributes else ""
    page.facts(
        [
            ("address", f"{found.address}/{found.prefix_length}"),
            ("state", f"{found.state}, sticky" if found.sticky else found.state),
            ("owner", found.owner),
            ("shared by", ", ".join(found.sharers)),
            ("host", found.host),
            ("subnet", found.subnet),
            ("scope", found.scope),
            ("gateway", found.gateway),
            ("block", block_text(found)),
            ("sequence", found.sequence),
            ("allocated at", rfc3339(found.allocated_at)),
            ("leased until", found.leased_until and rfc3339(found.leased_until)),
            ("cooling until", found.cooling_until and rfc3339(found.cooling_until)),
            ("attributes", attributes),
            ("note", found.note),
        ]
    )
