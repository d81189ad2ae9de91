"""usage: slow-download.py HOST PATH
Takes piece after piece of http://HOST/PATH, slowly, until its standard input ends; then what is
left, at once. Prints `began` after the first piece; at the end the bytes taken slowly, all bytes of
the body, and their SHA-256.
"""
import hashlib
import select
import socket
import sys

PIECE = 16 * 1024
PAUSE_SECONDS = 0.1

host, path = sys.argv[1:]
connection = socket.socket()
# Small, so that most of it is still the server's to send when it moves.
connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * PIECE)
connection.connect((host, 80))
request = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
connection.sendall(request.encode())
stream = connection.makefile("rb", buffering=PIECE)
status = stream.readline()
if b" 200 " not in status:
    sys.exit(status.decode())
length = 0
for line in iter(stream.readline, b"\r\n"):
    name, _, value = line.partition(b":")
    if name.lower() == b"content-length":
        length = int(value)
digest = hashlib.sha256()
taken = 0
slowly = None
while piece := stream.read(min(PIECE, length - taken)):
    if taken == 0:
        print("began", flush=True)
    digest.update(piece)
    taken += len(piece)
    if slowly is None and select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
        slowly = taken
print(slowly if slowly is not None else taken, taken, digest.hexdigest())
