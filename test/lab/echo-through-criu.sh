#!/bin/sh
# Run in host a: a server there is dumped and restored while a client on host b keeps asking it.
set -eu
images=$(mktemp -d)
setsid python3 -c '
import socket
server = socket.create_server(("10.77.0.11", 7000))
peer, _ = server.accept()
while data := peer.recv(100):
    peer.sendall(data)
' </dev/null >/dev/null 2>&1 &
server=$!
sleep 0.5
ssh b python3 - <<'EOF' &
import socket, time
peer = socket.create_connection(("10.77.0.11", 7000), timeout=10)
end, asked = time.time() + 2.5, 0
while time.time() < end:
    peer.sendall(b"%08d" % asked)
    assert int(peer.recv(8)) == asked
    asked += 1
print("answers", asked)
EOF
client=$!
sleep 1
criu dump --tree "$server" --tcp-established --network-lock nftables \
  --images-dir "$images"
criu restore --restore-detached --tcp-established \
  --images-dir "$images"
wait "$client"
echo restored
