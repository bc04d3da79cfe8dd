"""The control socket's place in the file system, and who is at its other end."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import socket
import stat
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from hafailover.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_PATH_BYTES = 107  # sun_path holds 108 with its end (unix(7))
BACKLOG = 128
LOCK_WAIT_S = 1.0
LOCK_RETRY_S = 0.01

_SO_PEERGROUPS = 59  # asm-generic/socket.h since Linux 4.13; the socket module does not name it
_PEERGROUPS_BYTES = 1024  # the most that getsockopt() of the socket module takes: 256 groups

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is connected, as the kernel noted it at connect (SO_PEERCRED and SO_PEERGROUPS, socket(7))."""

    uid: int
    groups: frozenset[int]

    def may_change(self, group_id: int | None) -> bool:
        """Whether this peer may do more than read: root, the daemon's own user, the control group."""
        return self.uid in (0, os.geteuid()) or (group_id is not None and group_id in self.groups)


def peer_of(sock: socket.socket) -> Peer:
    """Return who is at the other end. Raises OSError where the kernel does not say."""
    cred = struct.Struct("=iII")
    _, uid, gid = cred.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, cred.size))
    return Peer(uid, frozenset((gid, *_supplementary_groups(sock))))


def _supplementary_groups(sock: socket.socket) -> tuple[int, ...]:
    """Ask the kernel, not the user database: that could block, and names groups the process does not have.

    A peer with more than 256 supplementary groups, or a kernel before 4.13, leaves the primary group alone.
    """
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _PEERGROUPS_BYTES)
    except OSError:
        return ()
    return struct.unpack(f"={len(raw) // 4}I", raw)


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening control socket; `group_id` None: no group's members may change things."""

    sock: socket.socket
    path: Path
    group_id: int | None
    inode: tuple[int, int]

    def lengthen_queue(self) -> None:
        """Let as many wait as may, however many its server accepts in one go."""
        self.sock.listen(BACKLOG)

    def close(self) -> None:
        """Stop listening and remove the path, unless another socket has taken its place."""
        self.sock.close()
        with contextlib.suppress(OSError):
            if _inode(self.path) == self.inode:
                self.path.unlink()


def listen(path: Path, group: str) -> Listener:
    """Take the path: mode 0660 for the group, or 0600 where there is no such group.

    A socket left over from a crash is removed. Blocks for at most a second, while another daemon starts
    beside this one. Raises StartError where the path cannot be had, above all where a daemon answers on it.
    """
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise StartError(f"control socket {path}: the path is longer than {MAX_PATH_BYTES} bytes")
    try:
        _make_directory(path.parent)
        with _locked(path.parent):
            _clear(path)
            return _bind(path, group)
    except OSError as error:
        raise StartError(f"control socket {path}: {error.strerror or error}") from error


def _make_directory(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(mode=0o755, parents=True)
        directory.chmod(0o755)  # whatever the umask


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep two daemons from both finding the same leftover: each would remove the other's new socket."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(fd)
        yield
    finally:
        os.close(fd)


def _lock(fd: int) -> None:
    give_up = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise
            time.sleep(LOCK_RETRY_S)
        else:
            return


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on. Raises StartError where somebody does, or it is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"control socket {path}: a file that is not a socket is in the way")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        code = probe.connect_ex(str(path))
    if code in (0, errno.EAGAIN):  # EAGAIN: somebody listens, and has a full backlog
        raise StartError(f"control socket {path}: another daemon answers on it")
    if code != errno.ECONNREFUSED:
        raise OSError(code, os.strerror(code))
    path.unlink()


def _bind(path: Path, group: str) -> Listener:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(str(path))
        inode = _inode(path)
        path.chmod(0o600)  # nobody can connect before listen()
        group_id = _give_to_group(path, group)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return Listener(sock, path, group_id, inode)


def _give_to_group(path: Path, group: str) -> int | None:
    if not group:
        return None
    try:
        group_id = grp.getgrnam(group).gr_gid
        if path.stat().st_gid != group_id:  # by its unit the daemon is of the group, and may give nothing away
            os.chown(path, -1, group_id)
    except KeyError:
        log.warning("control_group_missing", group=group, effect="only root and the daemon's user may connect")
        return None
    except PermissionError:
        log.warning("control_group_not_given", group=group, effect="only root and the daemon's user may connect")
        return None
    path.chmod(0o660)
    return group_id


def _inode(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
