#!/usr/bin/python3
"""The command line of ./run: one adledger, from its start to its end. See stack.py for what it starts."""

import argparse
import os
import shlex
import signal
import sys
import time

from processes import STOP_SECONDS, StackError, say
from stack import SERVERS, SERVICES, SETTINGS, Stack, command, run_dir


def asked_ports():
    """The ports that the environment asks for, by service."""
    asked = {}
    for name, variables in (("gateway", ("HTTP_PORT", "PORT")), ("ingest", ("INGEST_PORT",)), ("analytics", ("ANALYTICS_PORT",))):
        for variable in variables:
            text = os.environ.get(variable)
            if text and name not in asked:
                if not text.isdigit() or not 1 <= int(text) <= 65535:
                    raise StackError(f"{variable}={text}: a port is a number from 1 to 65535")
                asked[name] = int(text)
    return asked


def print_addresses(stack):
    base = f"http://localhost:{stack.port('gateway')}"
    print(f"""
adledger is ready.

  API         {base}/api/v1
  health      {base}/health
  metrics     {base}/metrics
  ingest      http://localhost:{stack.port('ingest')}/health
  analytics   http://localhost:{stack.port('analytics')}/health

Try it:

  curl -X POST {base}/api/v1/ads/click -H 'Content-Type: application/json' -d '{{"ad_id":"ad-001","playback_time":30}}'
  curl '{base}/api/v1/ads/analytics?ad_id=ad-001'

The admin key is in {stack.admin_key_file}; in a shell: eval "$({command()} --env)", then -H "Authorization: Bearer $ADMIN_KEY"
""", flush=True)


def print_status(stack):
    down = 0
    for name in (*SERVICES, *SERVERS):
        pid = stack.process(name).pid
        state = "down" if pid is None else "running"
        if pid is not None and name in SERVICES:
            state = "ready" if stack.ready(stack.port(name)) else "not ready"
        down += pid is None
        print(f"{name:<10} {state:<10} pid {pid or '-':<8} 127.0.0.1:{stack.port(name)}")
    return 1 if down else 0


def heed_signals(handler):
    """Ctrl-C, kill, and a terminal that is closed, unless nohup keeps us from that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def interrupt_once(*_):
    """Nothing stays of a start that was not finished; a closed terminal says so twice, which is not to end the stop."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise KeyboardInterrupt


def run_in_foreground(stack):
    stopping, ended = [], []  # asked to, and by themselves
    heed_signals(lambda *_: stopping.append(True))
    stack.start()
    print_addresses(stack)
    say("Ctrl-C stops everything")
    while not stopping and not ended and not stack.stopping.exists():
        time.sleep(0.2)
        ended = stack.down()
    if not stopping and stack.stopping.exists():
        return be_stopped(stack, stopping)
    for name in ended:
        say(f"{name} has ended, and with it the run; its log ends:\n{stack.process(name).log_tail()}")
    say("stopping")
    return 0 if stack.stop() and not ended else 1


def be_stopped(stack, stopping):
    """./run --stop or --clean does it from elsewhere: a second signal would cut a service's own stop short."""
    say("stopped by ./run --stop or --clean")
    deadline = time.monotonic() + (len(SERVERS) + len(SERVICES)) * STOP_SECONDS

    def is_left():  # without the file: it is deleted, or somebody's new start
        return stack.stopping.exists() and len(stack.down()) < len(SERVERS) + len(SERVICES)
    while is_left() and not stopping and time.monotonic() < deadline:
        time.sleep(0.2)
    return 1 if is_left() and not stack.stop() else 0  # left by a --stop that was itself ended


def run_detached(stack):
    heed_signals(interrupt_once)
    stack.start()
    for name in stack.wait_healthy():
        say(f"{name} is ready, but not well: {stack.url(name)}/health tells why")
    print_addresses(stack)
    return 0


def main():
    parser = argparse.ArgumentParser(prog="./run", allow_abbrev=False, description="Runs a whole adledger on loopback, under .run/, until Ctrl-C.",
                                     epilog="Without an option, one process that ends by itself ends all, with status 1. In the environment: PORT, "
                                            "INGEST_PORT, ANALYTICS_PORT, and RUN_DIR, another directory than .run/. A second adledger beside the "
                                            "first: PORT=8090 RUN_DIR=DIR ./run; DIR must be new, empty or made so, for --clean deletes what is in it.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--detach", action="store_true", help="return when ready; starts whatever is down")
    mode.add_argument("--stop", action="store_true", help="stop everything, nothing is lost")
    mode.add_argument("--status", action="store_true", help="what runs, with pids and addresses")
    mode.add_argument("--clean", action="store_true", help="stop everything and delete all data")
    mode.add_argument("--env", action="store_true", help="print addresses and pids as shell variables")
    mode.add_argument("--secrets", action="store_true", help="make the secrets of docker-compose.prod.yaml, once")
    args = parser.parse_args()

    begins = not (run_dir() / SETTINGS).exists() or not (args.stop or args.status or args.clean or args.env)
    stack = Stack(fixed_ports=asked_ports() if begins else {})
    if args.stop:
        return 0 if stack.stop() else 1
    if args.clean:
        stack.clean()
        return 0
    if args.status or args.env:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # ./run --env | head is no error
    if args.status:
        return print_status(stack)
    if args.env:
        for name, value in stack.env().items():
            print(f"export {name}={shlex.quote(str(value))}")
        return 0
    return run_detached(stack) if args.detach else run_in_foreground(stack)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
