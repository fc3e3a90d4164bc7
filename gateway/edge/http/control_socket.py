"""The socket of the control API: for its owner alone, from the first moment.

Owns the socket file: takes the place of one that a dead process left, never that of a living one or
of anything else. Never speaks HTTP itself.

Limits: a request's body has MAX_BODY_OCTETS at most.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from gateway.core.errors import ControlSocketRefused
from gateway.edge.http.site import BoundedSite

MAX_BODY_OCTETS = 1024 * 1024
PROBE_S = 2.0
BACKLOG = 16


def listen_control(reactor: Any, path: Path, resource: Any) -> IListeningPort:
    """Serve ``resource`` on a Unix socket that only its owner (and root) can open.

    Blocks for up to PROBE_S if something is there already. The file goes when the port stops
    listening.

    Args:
        reactor: IReactorUNIX and IReactorTime.
        resource: IResource, the root.

    Raises:
        ControlSocketRefused: a gateway answers there, something else is in the way, or the path
            cannot be used.
    """
    _make_room(path)
    site = BoundedSite(resource, reactor, MAX_BODY_OCTETS)
    # bind() makes the file with the umask's mode; a chmod afterwards would come too late. Called
    # while starting, before other threads make files.
    umask = os.umask(0o177)
    try:
        port: IListeningPort = reactor.listenUNIX(os.fspath(path), site, BACKLOG, mode=0o600)
    except (CannotListenError, OSError) as error:
        raise ControlSocketRefused(path=str(path), reason=str(error)) from error
    finally:
        os.umask(umask)
    return port


def _make_room(path: Path) -> None:
    """Remove the socket of a dead process."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ControlSocketRefused(path=str(path), reason=str(error)) from error
    if not stat.S_ISSOCK(mode):
        raise ControlSocketRefused(path=str(path), reason="it exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:  # a full backlog, no permission: somebody lives there
            raise ControlSocketRefused(path=str(path), reason=str(error)) from error
    raise ControlSocketRefused(path=str(path), reason="another gateway answers there")
