"""A disk that is filled, and has room again."""

import errno
import os

CHUNK = 64 << 10


def fill(disk):
    """A file that takes all that is free on a disk. Unlink it, and there is room."""
    ballast, size = disk / "ballast", 0
    with open(ballast, "wb") as out:
        for chunk in (16 * CHUNK, CHUNK, 4096):
            try:
                while True:
                    os.posix_fallocate(out.fileno(), size, chunk)
                    size += chunk
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return ballast
