"""An adledger.v1.EventBatch by hand: what no gateway would send."""

import os
import time
import uuid


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def event(event_id, ad_id, received_at_ms):
    """A click, as proto/adledger/v1/events.proto has it."""
    return (data(1, uuid.UUID(event_id).bytes) + number(2, 1) + data(3, ad_id.encode())
            + number(4, received_at_ms) + number(5, received_at_ms))


def batch(events):
    """The first batch of a gateway's life that nobody knows."""
    header = data(1, os.urandom(16)) + number(4, 1) + number(5, int(time.time() * 1000)) + number(6, 1)
    return header + b"".join(data(16, each) for each in events)
