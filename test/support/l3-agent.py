"""A program of a job, for test/system/l3-*.test.ts: runs the Python it is sent and answers.

Each line of standard input is a JSON string, Python that sets `result`; each line of standard
output is {"result": ...} or {"errno": N, "error": "..."}. Names live on from line to line.
"""

import errno as errno_names
import json
import socket
import sys
import threading

LIMIT_S = 2.0


def make(kind, family, *options):
    sock = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, kind)
    sock.settimeout(LIMIT_S)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == socket.SOCK_STREAM else 0)
    for level, option, value in options:
        sock.setsockopt(level, option, value)
    return sock


def tcp(family, *options):
    return make(socket.SOCK_STREAM, family, *options)


def udp(family, *options):
    return make(socket.SOCK_DGRAM, family, *options)


V6ONLY = (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
DUAL = (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
REUSEPORT = (socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
REUSEADDR = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
WILD = {4: "0.0.0.0", 6: "::"}
LOOP = {4: "127.0.0.1", 6: "::1"}


def listen(family, address, port, *options):
    sock = tcp(family, *options)
    sock.bind((address, port))
    sock.listen(64)
    return sock


def bound(family, address, port, *options):
    sock = udp(family, *options)
    sock.bind((address, port))
    return sock


def connect(family, address, port):
    sock = tcp(family)
    sock.connect((address, port))
    return sock


def name(sock):
    return sock.getsockname()[0]


def peer(sock):
    return sock.getpeername()[0]


def accept(listener):
    """Accepts one connection: the accepted socket's own name, its peer's, and what accept() said."""
    sock, said = listener.accept()
    answer = {"name": name(sock), "peer": peer(sock), "said": said[0]}
    sock.sendall(b"hello")
    sock.close()
    return answer


def visit(family, address, port):
    """Connects, reads the greeting, and tells both names as the client sees them."""
    sock = connect(family, address, port)
    answer = {"name": name(sock), "peer": peer(sock), "read": sock.recv(5).decode()}
    sock.close()
    return answer


def meet(listener, family, address, port):
    """A client and a server of the same process."""
    server = {}

    def take():
        try:
            server.update(accept(listener))
        except OSError as error:
            server["error"] = str(error)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        client = visit(family, address, port)
    except OSError:
        stop(listener)
        raise
    finally:
        thread.join()
    return {"client": client, "server": server}


def stop(*socks):
    """Closes sockets at once, although a thread may be waiting in one of them."""
    for sock in socks:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # a datagram socket that is not connected
        sock.close()


def serve(listener):
    """Answers every client until the listener is stopped."""

    def loop():
        while True:
            try:
                accept(listener)
            except TimeoutError:
                continue
            except OSError:
                return

    threading.Thread(target=loop, daemon=True).start()


def echo(sock):
    """Takes one datagram, sends it back; who it came from, as recvfrom() says."""
    data, said = sock.recvfrom(100)
    sock.sendto(data, said)
    return said[0]


def ask(sock, address, port):
    """Sends one datagram from an unconnected socket, and tells who answered."""
    sock.sendto(b"question", (address, port))
    data, said = sock.recvfrom(100)
    return {"answer": data.decode(), "from": said[0]}


def talk(server, client, address, port):
    """One datagram to `server` and its echo."""
    seen = {}

    def take():
        try:
            seen["from"] = echo(server)
        except OSError as error:
            seen["error"] = str(error)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        answer = ask(client, address, port)
    finally:
        thread.join()
    return {"server": seen, "client": answer}


def error_of(call):
    try:
        call()
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return errno_names.errorcode[error.errno]
    return "none"


def main():
    for line in sys.stdin:
        try:
            globals()["result"] = None
            exec(json.loads(line), globals())
            answer = {"result": globals()["result"]}
        except Exception as error:  # the test decides what an error means
            answer = {"errno": getattr(error, "errno", None), "error": repr(error)}
        print(json.dumps(answer), flush=True)


main()
