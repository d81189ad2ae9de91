"""Sends a byte each millisecond on one connection and tells the longest time without an answer.

usage: silence-client.py ADDRESS PORT

Commands are lines on standard input, answers are JSON lines on standard output: `start` begins to
send and answers once an echo came back; `stop` ends it, waits for the echoes that are still owed,
and answers with what was seen since. In between the connection is open and still. One that was
lost is said to be lost and made anew at the next start.
"""

import json
import select
import socket
import sys
import time

TICK_S = 0.001
CONNECT_S = 120
OWED_S = 60
READ_BYTES = 65536


def connect(address, port):
    """Retries for as long as a large job may take to fill its memory."""
    end = time.monotonic() + CONNECT_S
    while True:
        try:
            peer = socket.create_connection((address, port), timeout=1)
            break
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.setblocking(False)
    return peer


class Watch:
    """The bytes of one start and stop."""

    def __init__(self, peer):
        self.peer = peer
        self.sent = self.received = 0
        self.gap = 0.0
        self.last = time.monotonic()
        self.lost = ''

    def tick(self, sending):
        """One millisecond: sends a byte, takes what came."""
        due = time.monotonic() + TICK_S
        try:
            if sending:
                self.sent += self.peer.send(b'x')
        except BlockingIOError:
            pass
        except OSError as error:
            self.lost = str(error)
        while not self.lost and (left := due - time.monotonic()) > 0:
            if select.select([self.peer], [], [], left)[0]:
                self.receive()

    def receive(self):
        try:
            data = self.peer.recv(READ_BYTES)
        except OSError as error:
            self.lost = str(error)
            return
        if not data:
            self.lost = 'closed by the job'
            return
        now = time.monotonic()
        self.gap = max(self.gap, now - self.last)
        self.last = now
        self.received += len(data)

    def owed(self):
        """Takes the echoes that are still under way."""
        end = time.monotonic() + OWED_S
        while not self.lost and self.received < self.sent:
            self.tick(sending=False)
            if time.monotonic() > end:
                self.lost = f'{self.sent - self.received} bytes without an answer'


def tell(**what):
    print(json.dumps(what), flush=True)


def watch(address, port, peer):
    """From `start` to `stop`; gives back the connection, or nothing if it was lost."""
    seen = Watch(peer or connect(address, port))
    told = False
    while True:
        seen.tick(sending=True)
        if not told and (seen.received or seen.lost):
            # What it took to get going is no silence of the job.
            seen.gap, told = 0.0, True
            tell(type='started')
        if select.select([sys.stdin], [], [], 0)[0]:
            sys.stdin.readline()
            break
        if seen.lost:
            time.sleep(TICK_S)
    seen.owed()
    tell(type='seen', gapMs=round(seen.gap * 1000, 1), sent=seen.sent, received=seen.received,
         lost=seen.lost)
    if not seen.lost:
        return seen.peer
    seen.peer.close()
    return None


def main():
    address, port = sys.argv[1], int(sys.argv[2])
    peer = connect(address, port)
    tell(type='connected')
    while sys.stdin.readline().strip() == 'start':
        peer = watch(address, port, peer)


main()
