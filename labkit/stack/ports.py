"""Free ports on loopback: chosen once, kept in a file, chosen again only where another program moved in."""

import random
import socket
from collections.abc import Collection, Mapping

from labkit.errors import StartError

__all__ = ["choose_ports", "free_port", "is_free"]

# Below the range from which systems take the ports of outgoing connections (32768 or 49152 up),
# so that a browser tab cannot take a port between two starts of the lab.
_RANGE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Say whether a server could listen on 127.0.0.1 at ``port`` now."""
    with socket.socket() as probe:
        # As servers do: connections of a server that has just ended do not make its port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(taken: Collection[int] = ()) -> int:
    """Return a free port that is not in ``taken``; raises StartError when 200 random ones are all in use."""
    draw = random.SystemRandom()
    for port in (draw.choice(_RANGE) for _ in range(200)):
        if port not in taken and is_free(port):
            return port
    raise StartError(f"found no free port from {_RANGE.start} to {_RANGE.stop - 1}", "end programs that listen there")


def choose_ports(names: Collection[str], known: Mapping[str, int], held: Collection[int] = ()) -> dict[str, int]:
    """Return a port for each of ``names``: the ``known`` one if it is free or in ``held`` by our own servers."""
    ports: dict[str, int] = {}
    for name in names:
        port = known.get(name)
        usable = port is not None and port not in ports.values() and (port in held or is_free(port))
        ports[name] = port if usable else free_port({*ports.values(), *known.values()})
    return ports
