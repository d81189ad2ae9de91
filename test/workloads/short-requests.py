"""usage: short-requests.py ADDRESS PATH

Asks for http://ADDRESS/PATH again and again, each time by a connection of its own that the server is
to close, and closes its end some milliseconds after the server did. The end of standard input ends
it. Printed as JSON: how many requests there were, the first that failed, and the ports of those that
took longer than they should have, because an answer did not come or this program could not run.
"""

import json
import random
import socket
import sys
import threading
import time

CLIENTS = 8
PAUSE_S = 0.03
LATE_S = 0.06
ANSWER_S = 20.0


class Client(threading.Thread):
    def __init__(self, address, path):
        super().__init__()
        self.address = address
        host = f"[{address}]" if ":" in address else address
        request = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        self.request = request.encode()
        self.ended = threading.Event()
        self.count = 0
        self.error = None
        self.late = []

    def run(self):
        while not self.ended.is_set() and self.error is None:
            try:
                self.ask()
                self.count += 1
            except (OSError, ValueError) as failure:
                self.error = f"{type(failure).__name__}: {failure}"

    def ask(self):
        with socket.create_connection((self.address, 80), timeout=ANSWER_S) as connection:
            port = connection.getsockname()[1]
            asked_at = time.monotonic()
            connection.sendall(self.request)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            head, _, body = answer.partition(b"\r\n\r\n")
            if b" 200 " not in head or f"Content-Length: {len(body)}\r\n".encode() not in head:
                raise ValueError(f"{len(answer)} bytes: {answer[:200]!r}")
            time.sleep(random.uniform(0, PAUSE_S))
        if time.monotonic() - asked_at > LATE_S:
            self.late.append(port)


clients = [Client(*sys.argv[1:]) for _ in range(CLIENTS)]
for client in clients:
    client.start()
print("ready", flush=True)
sys.stdin.read()
for client in clients:
    client.ended.set()
for client in clients:
    client.join()
errors = [client.error for client in clients if client.error is not None]
total = sum(client.count for client in clients)
late = [port for client in clients for port in client.late]
said = {"requests": total, "error": errors[0] if errors else None, "late": late}
print(json.dumps(said), flush=True)
