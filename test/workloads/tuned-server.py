"""usage: tuned-server.py PORT DEVICE : a TCP server whose sockets have options that CRIU forgets.

It opens what CRIU cannot move when it is told `uring` or `ring`, and answers `options` with those of its listener, of its multicast receivers and of the connection, and
`heard` with the multicast datagrams that it has received, as JSON, a line each.
"""

import ctypes
import json
import select
import socket
import struct
import sys

USER_TIMEOUT, CONGESTION, FASTOPEN, NOTSENT_LOWAT, DEFER_ACCEPT = 18, 13, 23, 25, 9
PORT, DEVICE = int(sys.argv[1]), sys.argv[2]
GROUP, GROUP6, HEARD_PORT = "239.77.0.1", "ff15::77", 7077


def listener():
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, CONGESTION, b"reno")
    sock.setsockopt(socket.IPPROTO_TCP, FASTOPEN, 16)
    sock.setsockopt(socket.IPPROTO_TCP, DEFER_ACCEPT, 3)
    sock.bind(("0.0.0.0", PORT))
    sock.listen(8)
    return sock


def receiver4():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((GROUP, HEARD_PORT))
    request = socket.inet_aton(GROUP) + bytes(4) + struct.pack("i", socket.if_nametoindex(DEVICE))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 7)
    return sock


def receiver6():
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind((GROUP6, HEARD_PORT))
    request = socket.inet_pton(socket.AF_INET6, GROUP6)
    request += struct.pack("I", socket.if_nametoindex(DEVICE))
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 9)
    return sock


def tune(sock):
    sock.setsockopt(socket.IPPROTO_TCP, USER_TIMEOUT, 23456)
    sock.setsockopt(socket.IPPROTO_TCP, NOTSENT_LOWAT, 65536)


def uring():
    """io_uring_setup(2) with one entry."""
    return ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120))


def packet_ring():
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    sock.setsockopt(263, 5, struct.pack("=IIII", 4096, 1, 2048, 2))
    return sock


def name_of(sock):
    return sock.getsockopt(socket.IPPROTO_TCP, CONGESTION, 16).split(b"\0")[0].decode()


def main():
    server, ip4, ip6 = listener(), receiver4(), receiver6()
    heard, kept = [], []
    unmovable = {"uring": uring, "ring": packet_ring}

    def answer(sock, words):
        if words == "heard":
            return heard
        if words in unmovable:
            kept.append(unmovable[words]())
            return "open"
        tcp = socket.IPPROTO_TCP
        return {
            "listener": [name_of(server), server.getsockopt(tcp, FASTOPEN)],
            "deferAccept": server.getsockopt(tcp, DEFER_ACCEPT) > 0,
            "connection": [name_of(sock)]
            + [sock.getsockopt(tcp, option) for option in (USER_TIMEOUT, NOTSENT_LOWAT)],
            "multicast": [
                ip4.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL),
                ip6.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS),
            ],
        }

    watched = [server, ip4, ip6]
    while True:
        for sock in select.select(watched, [], [])[0]:
            if sock is server:
                peer = server.accept()[0]
                tune(peer)
                watched.append(peer)
            elif sock in (ip4, ip6):
                heard.append(sock.recv(2048).decode())
            else:
                words = sock.recv(2048).decode().strip()
                if words == "":
                    watched.remove(sock)
                    sock.close()
                else:
                    sock.sendall((json.dumps(answer(sock, words)) + "\n").encode())


main()
