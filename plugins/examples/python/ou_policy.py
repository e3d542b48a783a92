#!/usr/bin/env python3
"""Admits clients by an organizational unit of their certificate, and tells the
target which one it was. Configuration: {"allow": ["payments"]}. The wire is
described in sdk/FRAMES.md; nothing but Python's standard library is needed."""
import json, os, socket, struct, sys

HELLO, CONFIGURE, CONFIGURED, REQUEST, VERDICT, CANCEL, PING, PONG, GOAWAY = 1, 2, 3, 5, 8, 9, 11, 12, 13
PROTOCOL, NAME, HOOK, NEED, OWNS, CONFIG = 1, 2, 4, 5, 6, 9
DECISION, STATUS, REASON, SET_HEADER, TTL = 16, 17, 18, 19, 22
UNIT, LONGEST = 0x020B, 256 << 10

def field(tag, value):
    value = struct.pack("<Q", value) if isinstance(value, int) else value
    return struct.pack("<HI", tag, len(value)) + value

def frame(kind, id, *fields):
    body = b"".join(fields)
    return struct.pack("<IB3xI", 8 + len(body), kind, id) + body

def values(body, wanted, at=0):
    while at < len(body):
        tag, length = struct.unpack_from("<HI", body, at)
        if (at := at + 6 + length) > len(body): sys.exit("malformed field")
        if tag == wanted: yield body[at - length:at]

def decide(body):
    for unit in values(body, UNIT):
        if unit in allow:
            return field(DECISION, 1), field(SET_HEADER, b"X-Unit\0" + unit), field(TTL, 60_000)
    return field(DECISION, 2), field(STATUS, 403), field(REASON, b"no unit that is allowed")

def answer(kind, id, body):
    global allow
    if kind == REQUEST and allow is not None: return frame(VERDICT, id, *decide(body))
    if kind == PING: return frame(PONG, id)
    if kind == CANCEL: return b""  # Calls are answered at once.
    if kind != CONFIGURE or allow is not None: sys.exit(f"malformed frame: type {kind}")
    allow = {unit.encode() for unit in json.loads(next(values(body, CONFIG)) or b"{}").get("allow", [])}
    return frame(CONFIGURED, 0)

allow, buffer = None, b""
edge = socket.socket(fileno=int(os.environ["SALLYPORT_PLUGIN_FD"]))
edge.sendall(frame(HELLO, 0, field(PROTOCOL, 1), field(NAME, b"ou-policy"), field(HOOK, b"request"),
                   field(NEED, b"cert.organizational_units"), field(OWNS, b"X-Unit")))
while data := edge.recv(1 << 16):
    buffer, at, answers = buffer + data, 0, []
    while len(buffer) - at >= 12:
        length, kind, zero, id = struct.unpack_from("<IB3sI", buffer, at)
        if not 8 <= length <= LONGEST or any(zero): sys.exit("malformed frame")
        if len(buffer) - at < 4 + length: break
        if kind == GOAWAY: edge.sendall(b"".join(answers)); sys.exit()
        answers.append(answer(kind, id, buffer[at + 12:at + 4 + length]))
        at += 4 + length
    buffer = buffer[at:]
    edge.sendall(b"".join(answers))
