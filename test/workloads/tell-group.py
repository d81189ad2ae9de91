"""usage: tell-group.py GROUP PORT DEVICE WORDS : sends a datagram to a multicast group."""

import socket
import struct
import sys

group, port, device, words = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
index = socket.if_nametoindex(device)
if ":" in group:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
else:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + struct.pack("i", index))
sock.sendto(words.encode(), (group, port))
