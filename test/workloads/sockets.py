"""usage: sockets.py KIND... : opens a socket of each kind, says "ready KIND=FD ..." and keeps them.

It is what tests of src/checkpoint/sockets look at; -1 stands for a kind that the kernel lacks. Lines
on standard input are commands: `connect` makes a connection to the TCP listener that nobody accepts,
`read KIND` tells a socket's options as JSON.
"""

import ctypes
import errno
import json
import os
import signal
import socket
import struct
import sys

TCP_CONGESTION, TCP_USER_TIMEOUT, TCP_FASTOPEN = 13, 18, 23
GROUP, PORT = "239.77.0.1", 7077
NETLINK_EXT_ACK = 11
kept = []


def tcp(family=socket.AF_INET):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return sock


def listener_on(port):
    sock = tcp()
    sock.bind(("0.0.0.0", port))
    sock.listen(8)
    return sock


def listener():
    return listener_on(7000)


def tuned():
    sock = tcp()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, b"reno")
    sock.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 12345)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 5)
    sock.bind(("0.0.0.0", 7001))
    sock.listen(8)
    return sock


def echo():
    """The accepted end of a connection to oneself."""
    client = tcp()
    server = listener_on(7005)
    client.connect(("127.0.0.1", 7005))
    kept.extend([client, server])
    return server.accept()[0]


def many():
    """Ten thousand ends of connections."""
    server = listener_on(7006)
    for _ in range(5000):
        client = tcp()
        client.connect(("127.0.0.1", 7006))
        kept.extend([client, server.accept()[0]])
    return server


def mptcp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    sock.bind(("0.0.0.0", 7002))
    sock.listen(8)
    return sock


def udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 7003))
    return sock


def unread():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 7004))
    sock.sendto(b"for nobody", ("127.0.0.1", 7004))
    return sock


def corked():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_UDP, 1, 1)
    return sock


def multicast():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((GROUP, PORT))
    device = socket.if_nametoindex(os.environ.get("DEVICE", "lo"))
    request = socket.inet_aton(GROUP) + socket.inet_aton("0.0.0.0") + struct.pack("i", device)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 7)
    return sock


def multicast6():
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    device = socket.if_nametoindex(os.environ.get("DEVICE", "lo"))
    request = socket.inet_pton(socket.AF_INET6, "ff15::77") + struct.pack("I", device)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, device)
    return sock


def pair():
    ends = socket.socketpair()
    kept.append(ends[1])
    return ends[0]


def logger():
    """Connected to what nobody of the job holds, as syslog(3) is to /dev/log."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.connect(os.environ["LOG"])
    return sock


def netlink():
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    sock.bind((0, 0))
    sock.setsockopt(270, NETLINK_EXT_ACK, 1)
    return sock


def queued():
    """Asks for all links and does not read the answer."""
    sock = netlink()
    sock.send(struct.pack("=LHHLLBxHiII", 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0))
    return sock


def packet():
    return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))


def ring():
    sock = packet()
    sock.setsockopt(263, 5, struct.pack("=IIII", 4096, 1, 2048, 2))
    return sock


def vsock():
    return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)


def sctp():
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)


def alg():
    sock = socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)
    sock.bind(("hash", "sha256"))
    return sock


def raw():
    """Hears pings; raw_diag may or may not list it."""
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def connecting():
    """Nobody answers there: it stays SYN_SENT until the kernel gives up."""
    sock = tcp()
    sock.setblocking(False)
    sock.connect_ex((os.environ.get("NOBODY", "10.77.0.199"), 9))
    return sock


def bpf():
    """An eBPF program that keeps every packet: r0 = -1; exit."""
    code = struct.pack("=BBhi", 0xB7, 0, 0, -1) + struct.pack("=BBhi", 0x95, 0, 0, 0)
    program, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    addresses = ctypes.addressof(program), ctypes.addressof(licence)
    attribute = struct.pack("=IIQQ", 1, len(code) // 8, *addresses) + bytes(96)
    libc = ctypes.CDLL(None, use_errno=True)
    loaded = libc.syscall(321, 5, ctypes.create_string_buffer(attribute), len(attribute))
    if loaded < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    sock = udp()
    sock.setsockopt(socket.SOL_SOCKET, 50, loaded)
    os.close(loaded)
    return sock


class Ring:
    """io_uring_setup(2) with one entry."""

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.syscall(425, 1, ctypes.create_string_buffer(120))
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")

    def fileno(self):
        return self.fd


def uring():
    return Ring()


def options_of(sock):
    def number(level, option):
        try:
            return sock.getsockopt(level, option)
        except OSError:
            return None

    def name():
        try:
            return sock.getsockopt(6, TCP_CONGESTION, 16).split(b"\0")[0].decode()
        except OSError:
            return None

    return {
        "congestion": name(),
        "userTimeout": number(6, TCP_USER_TIMEOUT),
        "fastopen": number(6, TCP_FASTOPEN),
        "multicastTtl": number(0, socket.IP_MULTICAST_TTL),
        "extAck": number(270, NETLINK_EXT_ACK),
    }


def opened_if_known(kind):
    """None for a kind that the kernel does not have."""
    try:
        return globals()[kind]()
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            return None
        raise


def main():
    opened = {kind: opened_if_known(kind) for kind in sys.argv[1:]}
    said = " ".join(f"{kind}={sock.fileno() if sock else -1}" for kind, sock in opened.items())
    print(f"ready {said}", flush=True)
    for line in sys.stdin:
        command, kind = (line.split() + [""])[:2]
        if command == "connect":
            client = tcp()
            client.connect(("127.0.0.1", 7000))
            kept.append(client)
            print("connected", flush=True)
        elif command == "read":
            print(json.dumps(options_of(opened[kind])), flush=True)
    while True:
        signal.pause()


main()
