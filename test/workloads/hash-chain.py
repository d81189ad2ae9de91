"""usage: hash-chain.py HOST PORT FILE
Computes a chain of SHA-256 digests, and says how far it is, and as whom, to HOST:PORT and into
FILE, which it holds open. `stop` from there ends it. It knows nothing of being moved.
"""
import hashlib
import os
import select
import socket
import sys

STEP = 2000
host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connection = socket.create_connection((host, port))
journal = open(path, "a", buffering=1)
digest = b"seed"
count = 0
while True:
    for _ in range(STEP):
        digest = hashlib.sha256(digest).digest()
    count += STEP
    groups = ",".join(str(group) for group in sorted(os.getgroups()))
    line = f"{count} {digest.hex()} {os.getuid()} {os.getgid()} {groups}\n"
    journal.write(line)
    connection.sendall(line.encode())
    if select.select([connection], [], [], 0.1)[0]:
        break
connection.recv(64)
with open(os.path.expanduser("~/result"), "w") as result:
    result.write(f"{count} {digest.hex()}\n")
connection.sendall(b"done\n")
