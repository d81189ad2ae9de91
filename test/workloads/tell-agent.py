"""usage: tell-agent.py PORT: standard input, Python, goes to agent-server.py at 127.0.0.1:PORT."""

import json
import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30) as sock:
    sock.sendall(json.dumps(sys.stdin.read()).encode() + b"\n")
    print(sock.makefile("r").readline(), end="")
