"""usage: agent-server.py PORT

A job's program that does what it is told: each connection to 127.0.0.1:PORT sends a line, a JSON
string of Python that sets `result`, and gets {"result": ...} or {"error": "ENAME"} back. Names live
on, in this process, from one to the next.
"""

import errno
import json
import socket
import sys

LIMIT_S = 5.0
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def make(kind, family, address=None, port=0):
    sock = socket.socket(FAMILIES[family], kind)
    sock.settimeout(LIMIT_S)
    if address is not None:
        if family == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
    return sock


def listen(family, address, port, dual=False):
    sock = socket.socket(FAMILIES[family], socket.SOCK_STREAM)
    sock.settimeout(LIMIT_S)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
    sock.bind((address, port))
    sock.listen(16)
    return sock


def connect(family, address, port):
    sock = make(socket.SOCK_STREAM, family)
    sock.connect((address, port))
    return sock


def udp(family, address=None, port=0):
    return make(socket.SOCK_DGRAM, family, address, port)


def meet(listener, family, address):
    """A connection of the program with itself: both ends, with a byte sent through."""
    client = connect(family, address, listener.getsockname()[1])
    server, said = listener.accept()
    server.settimeout(LIMIT_S)
    return client, server, said[0]


def names(*socks):
    return [[sock.getsockname()[0], sock.getpeername()[0]] for sock in socks]


def through(client, server):
    """A word there and one back."""
    client.sendall(b"there")
    server.sendall(b"back!")
    return [server.recv(5).decode(), client.recv(5).decode()]


def error_of(call):
    try:
        call()
    except TimeoutError:
        return "timeout"
    except OSError as failure:
        return errno.errorcode[failure.errno]
    return "none"


def main():
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind(("127.0.0.1", int(sys.argv[1])))
    door.listen(4)
    while True:
        caller, _ = door.accept()
        with caller, caller.makefile("r") as lines:
            try:
                globals()["result"] = None
                exec(json.loads(lines.readline()), globals())
                answer = {"result": globals()["result"]}
            except Exception as failure:  # the test decides what it means
                code = getattr(failure, "errno", None)
                answer = {"error": errno.errorcode.get(code, repr(failure))}
            caller.sendall(json.dumps(answer).encode() + b"\n")


main()
