"""usage: crowd-client.py ADDRESS PORT COUNT

Holds COUNT connections to an echo server open; says "ready" when each has been answered once, and
goes on asking one after the other. The end of standard input ends it: each is asked once more, and
how many were answered rightly is printed as JSON, with the first error if there was one.
"""

import json
import resource
import select
import socket
import sys
import time

STEP_S = 0.005
ANSWER_S = 20.0


class Crowd:
    def __init__(self, address, port, count):
        self.poll = select.epoll()
        self.socks = {}
        self.error = None
        for _ in range(count):
            sock = socket.create_connection((address, port), timeout=ANSWER_S)
            sock.setblocking(False)
            self.socks[sock.fileno()] = sock
            self.poll.register(sock.fileno(), select.EPOLLIN)
        self.waiting = {}

    def ask(self, number, byte):
        try:
            self.socks[number].send(bytes([byte]))
            self.waiting[number] = byte
        except OSError as failure:
            self.error = self.error or str(failure)

    def hear(self, seconds):
        """Takes in what has come; how many answers were right."""
        right = 0
        for number, _ in self.poll.poll(seconds):
            try:
                data = self.socks[number].recv(16)
                expected = bytes([self.waiting.pop(number)])
                if data == expected:
                    right += 1
                else:
                    self.error = self.error or f"{data!r} came instead of {expected!r}"
            except OSError as failure:
                self.error = self.error or str(failure)
            if self.error is not None:
                self.poll.unregister(number)
        return right

    def ask_all(self, byte):
        """How many of all answer rightly."""
        right = 0
        for at, number in enumerate(self.socks):
            if number not in self.waiting:
                self.ask(number, byte)
            if at % 64 == 0:
                right += self.hear(0)
        end = time.monotonic() + ANSWER_S
        while self.waiting and self.error is None and time.monotonic() < end:
            right += self.hear(0.1)
        return right


def main():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    crowd = Crowd(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    numbers = list(crowd.socks)
    crowd.ask_all(1)
    print("ready", flush=True)
    turn = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        number = numbers[turn % len(numbers)]
        if number not in crowd.waiting:
            crowd.ask(number, turn % 251)
        crowd.hear(STEP_S)
        turn += 1
    crowd.hear(1)
    while crowd.waiting and crowd.error is None:
        if crowd.hear(ANSWER_S) == 0:
            crowd.error = crowd.error or "an answer did not come"
    right = crowd.ask_all(7)
    print(json.dumps({"count": len(numbers), "right": right, "error": crowd.error}), flush=True)


main()
