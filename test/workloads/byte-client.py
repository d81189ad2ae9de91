"""usage: byte-client.py ADDRESS PORT

Sends a byte every millisecond on one connection to an echo server and checks each byte that comes
back. A line "mark" on standard input asks for what happened since the last one: the longest time
without an answer. The end of standard input ends it: it stops sending, waits for the last answer,
and prints the totals. Any error of the connection is in "error", and ends it at once.
"""

import json
import select
import socket
import sys
import time

STEP_S = 0.001
DRAIN_S = 10.0


def byte_at(position):
    return (position * 7 + (position >> 8)) & 0xFF


def main():
    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=DRAIN_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    sent = received = wrong = 0
    error = None
    gap = longest = 0.0
    start = heard = time.monotonic()
    asked = sys.stdin
    over = None
    print("ready", flush=True)
    while error is None and (over is None or (received < sent and time.monotonic() < over)):
        now = time.monotonic()
        pause = max(0.0, start + (sent + 1) * STEP_S - now) if over is None else 0.1
        inputs = [sock] if over is not None else [sock, asked]
        readable, _, _ = select.select(inputs, [], [], pause)
        try:
            if sock in readable:
                data = sock.recv(65536)
                now = time.monotonic()
                gap, heard = max(gap, now - heard), now
                if not data:
                    error = "the server closed the connection"
                wrong += sum(byte != byte_at(received + i) for i, byte in enumerate(data))
                received += len(data)
            due = int((time.monotonic() - start) / STEP_S)
            if over is None and due > sent:
                # A late wake-up sends what is due, so that the position stays that of the clock.
                sent += sock.send(bytes(byte_at(sent + i) for i in range(due - sent)))
        except BlockingIOError:
            pass
        except OSError as failure:
            error = str(failure)
        if asked in readable:
            longest = max(longest, gap)
            if asked.readline() == "":
                over = time.monotonic() + DRAIN_S
            else:
                print(json.dumps({"gapMs": gap * 1000, "received": received}), flush=True)
                gap = 0.0
    longest = max(longest, gap)
    totals = {"sent": sent, "received": received, "wrong": wrong, "error": error}
    print(json.dumps({**totals, "longestMs": longest * 1000}), flush=True)


main()
