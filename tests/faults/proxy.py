"""A TCP proxy that spoils the connection between a service and its server, when told to.

    service --UP--> proxy --UP--> server
            <-DOWN-       <-DOWN-

Each proxy forwards one port of 127.0.0.1. All proxies of a `ProxyLoop` run in one thread; faults are switched from
any other, and hold for connections that exist and for new ones until `heal()`:

    latency_s      seconds added in each direction
    bytes_per_s    limit of each direction of a connection
    hold(...)      nothing passes in these directions; what was sent meanwhile arrives after heal(), as TCP would have it
    drop(...)      what is sent in these directions is lost; heal() ends the connections, for their bytes no longer fit
    refuse()       new connections are reset
    cut_after      {UP: n}: a connection is cut when so many bytes have passed
    filters        {DOWN: f}: f(link, data) gives the bytes that pass; it may call link.cut()

`cut()` ends every connection now, by a reset or in order.
"""

import asyncio
import collections
import socket
import struct
import threading

UP, DOWN = "up", "down"
BUFFER_MAX = 1 << 20


class Side(asyncio.Protocol):
    """One of the two sockets of a link: what it reads goes `direction`."""

    def __init__(self, link, direction):
        self.link, self.direction = link, direction
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        self.link.take(self.direction, data)

    def connection_lost(self, _):
        self.link.close()


class Pipe:
    """One direction of a link: bytes that wait for their time."""

    def __init__(self):
        self.waiting = collections.deque()  # (time, bytes), in order
        self.size = 0
        self.last_at = 0.0
        self.timer = None
        self.passed = 0


class Link:
    """One connection through a proxy."""

    def __init__(self, proxy):
        self.proxy, self.loop = proxy, proxy.loop
        self.client, self.server = Side(self, UP), Side(self, DOWN)
        self.pipes = {UP: Pipe(), DOWN: Pipe()}
        self.is_closed = False

    def take(self, direction, data):
        accept = self.proxy.filters.get(direction)
        if accept is not None:
            data = accept(self, data)
        if not data or self.is_closed or direction in self.proxy.dropped:
            return
        pipe, now = self.pipes[direction], self.loop.time()
        pipe.last_at = max(pipe.last_at, now + self.proxy.latency_s)
        if self.proxy.bytes_per_s:
            pipe.last_at += len(data) / self.proxy.bytes_per_s
        pipe.waiting.append((pipe.last_at, data))
        pipe.size += len(data)
        if pipe.size > BUFFER_MAX:
            self._reader(direction).pause_reading()
        self.flush(direction)

    def flush(self, direction):
        """Passes on what is due and comes again for the rest."""
        pipe, reader, writer = self.pipes[direction], self._reader(direction), self._writer(direction)
        if pipe.timer is not None:
            pipe.timer.cancel()
            pipe.timer = None
        while pipe.waiting and not self.is_closed and writer is not None and direction not in self.proxy.held:
            due, data = pipe.waiting[0]
            if due > self.loop.time():
                pipe.timer = self.loop.call_at(due, self.flush, direction)
                return
            pipe.waiting.popleft()
            pipe.size -= len(data)
            self._pass(direction, writer, data)
        if not self.is_closed and pipe.size <= BUFFER_MAX and reader is not None:  # None: its connection is being made
            reader.resume_reading()

    def _pass(self, direction, writer, data):
        pipe, limit = self.pipes[direction], self.proxy.cut_after.get(direction)
        if limit is not None:
            data = data[:max(0, limit - pipe.passed)]
        writer.write(data)
        pipe.passed += len(data)
        self.proxy.passed[direction] += len(data)
        if limit is not None and pipe.passed >= limit:
            self.cut()

    def _reader(self, direction):
        return self.client.transport if direction == UP else self.server.transport

    def _writer(self, direction):
        return self.server.transport if direction == UP else self.client.transport

    def close(self):
        """One side has ended: the other does, too, after what it was sent."""
        if self.is_closed:
            return
        self.is_closed = True
        self.proxy.links.discard(self)
        for side in (self.client, self.server):
            if side.transport is not None:
                side.transport.close()

    def cut(self, reset=True):
        """Ends both sides at once: by a reset, or (reset=False) in order."""
        if self.is_closed:
            return
        self.proxy.cuts += 1
        for side in (self.client, self.server):
            if side.transport is not None and reset:
                side.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.transport.abort()
        self.close()


class Proxy:
    """One port. Its attributes are the faults; see the top of the file."""

    def __init__(self, proxies, target_port):
        self.proxies, self.loop, self.target_port = proxies, proxies.loop, target_port
        self.links = set()
        self.accepted = self.refused = self.cuts = 0
        self.passed = collections.Counter()
        self._clear()
        self.server = proxies.run(self._listen())
        self.port = self.server.sockets[0].getsockname()[1]

    def _clear(self):
        self.latency_s, self.bytes_per_s = 0.0, 0
        self.held, self.dropped, self.is_refusing = frozenset(), frozenset(), False
        self.cut_after, self.filters = {}, {}

    async def _listen(self):
        return await self.loop.create_server(self._accept, "127.0.0.1", 0)

    def _accept(self):
        link = Link(self)
        self.loop.create_task(self._connect(link))
        return link.client

    async def _connect(self, link):
        if self.is_refusing:
            self.refused += 1
            link.cut()
            return
        self.accepted += 1
        self.links.add(link)
        try:
            await self.loop.create_connection(lambda: link.server, "127.0.0.1", self.target_port)
        except OSError:
            link.cut()
            return
        if link.is_closed:
            link.server.transport.abort()
            return
        link.flush(UP)

    # ---- faults, from any thread

    def hold(self, *directions):
        self.held = frozenset(directions or (UP, DOWN))

    def drop(self, *directions):
        self.dropped = frozenset(directions or (UP, DOWN))

    def refuse(self):
        self.is_refusing = True

    def cut(self, reset=True):
        async def cut_all():
            for link in list(self.links):
                link.cut(reset)
        self.proxies.run(cut_all())

    def heal(self):
        async def heal():
            must_cut = bool(self.dropped)
            self._clear()
            for link in list(self.links):
                if must_cut:
                    link.cut()
                else:
                    link.flush(UP)
                    link.flush(DOWN)
        self.proxies.run(heal())

    @property
    def open_links(self):
        return len(self.links)


class ProxyLoop:
    """The thread that all proxies of a test run in."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.proxies = []

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def open(self, target_port):
        self.proxies.append(Proxy(self, target_port))
        return self.proxies[-1]

    def close(self):
        for proxy in self.proxies:
            proxy.cut()
            self.loop.call_soon_threadsafe(proxy.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
