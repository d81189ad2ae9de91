// usage: echo-server PORT
// Echoes what comes by TCP. Go listens with MPTCP unless GODEBUG has multipathtcp=0.
package main

import (
	"io"
	"log"
	"net"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", ":"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		if conn, err := listener.Accept(); err == nil {
			go io.Copy(conn, conn)
		}
	}
}
