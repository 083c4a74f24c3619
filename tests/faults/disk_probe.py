#!/usr/bin/python3
"""How long the disk takes while a load runs: tests/faults/disk_probe.py FILE > TOLD

Appends 4 KiB to FILE every 50 ms and syncs it, and prints each write and sync that took SLOW_MS or more: "BEGAN ENDED",
in ms of the monotonic clock. Ends at SIGTERM, after the sync that it is in, and with its parent.
"""

import os
import signal
import sys
import time

EVERY_SECONDS = 0.05
SLOW_MS = 50
BLOCK = bytes(4096)


def now_ms():
    return time.monotonic_ns() // 1_000_000


def main():
    is_stopping, parent = False, os.getppid()

    def stop(*_):
        nonlocal is_stopping
        is_stopping = True

    signal.signal(signal.SIGTERM, stop)
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while not is_stopping and os.getppid() == parent:
        began = now_ms()
        os.write(file, BLOCK)
        os.fsync(file)
        ended = now_ms()
        if ended - began >= SLOW_MS:
            print(began, ended, flush=True)
        time.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    main()
