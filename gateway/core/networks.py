"""Sets of networks, given in the settings by name or as they are, and the question who is in them.

Owns what a name stands for and one fast ``contains``. Never asks DNS. An IPv4 address inside an
IPv6 one (``::ffff:192.0.2.1``, RFC 4291 section 2.5.5.2) is that IPv4 address, on both sides:
whether a socket is of one kind or the other must not decide who may relay.

Limit: the answers for MAX_ANSWERS addresses are kept; strangers can come from any number of others.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from gateway.core.hosts import parse_ip

MAX_ANSWERS = 4096
_MAPPED_BITS = 96

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def _unmapped(network: IpNetwork) -> IpNetwork:
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        address = network.network_address.ipv4_mapped
        if address is not None:
            return ipaddress.IPv4Network((address, network.prefixlen - _MAPPED_BITS))
    return network


class UnknownNetworkName(ValueError):
    """A name that [networks] does not have; the text is the name."""


class Networks:
    """Any number of networks of both versions; never changes.

    Args:
        texts: addresses and CIDR networks.

    Raises:
        ValueError: one is neither.
    """

    __slots__ = ("_answers", "_by_length", "_texts")

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._texts = tuple(texts)
        by_length: dict[tuple[int, int], set[int]] = {}
        for network in map(_unmapped, map(ipaddress.ip_network, texts)):
            shift = network.max_prefixlen - network.prefixlen
            prefix = int(network.network_address) >> shift
            by_length.setdefault((network.version, shift), set()).add(prefix)
        # A set look-up for each prefix length in use, however many networks there are.
        self._by_length = {
            version: tuple(
                (shift, frozenset(prefixes))
                for (of_version, shift), prefixes in by_length.items()
                if of_version == version
            )
            for version in (4, 6)
        }
        self._answers: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._texts)

    def __repr__(self) -> str:
        return f"Networks({list(self._texts)})"

    def contains(self, ip: str) -> bool:
        """Whether the address is in one of them; text that is no address (a Unix socket) is not."""
        answer = self._answers.get(ip)
        if answer is None:
            if len(self._answers) >= MAX_ANSWERS:
                self._answers.clear()
            answer = self._answers[ip] = self._find(ip)
        return answer

    def _find(self, ip: str) -> bool:
        address = parse_ip(ip)
        if address is None:
            return False
        number = int(address)
        return any(
            number >> shift in prefixes for shift, prefixes in self._by_length[address.version]
        )


NO_NETWORKS = Networks()


def named(references: Sequence[str], names: Mapping[str, Sequence[str]]) -> Networks:
    """The networks that a setting asks for.

    Args:
        references: names of ``names``, addresses and networks.
        names: the table [networks].

    Raises:
        UnknownNetworkName: a reference is none of that.
    """
    return Networks(tuple(_each(references, names)))


def _each(references: Sequence[str], names: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for reference in references:
        if reference in names:
            yield from names[reference]
            continue
        try:
            ipaddress.ip_network(reference)
        except ValueError:
            raise UnknownNetworkName(reference) from None
        yield reference
