"""usage: hasty-server.py PORT BYTES

Writes BYTES to whoever connects and closes the connection at once: the kernel has to send them.
"""

import socket
import sys

port, size = map(int, sys.argv[1:])
server = socket.create_server(("", port))
server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * size)
while True:
    connection, _ = server.accept()
    connection.sendall(bytes(size))
    connection.close()
