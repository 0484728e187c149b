package cluster

import (
	"net"
	"strconv"
	"strings"
)

// BadAddress tells what is wrong with a name server's address; nothing when it is host:port.
func BadAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	switch {
	case err != nil:
		return "is not an address"
	case host == "" || strings.ContainsAny(host, " /"):
		return "has no host"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "has no port from 1 to 65535"
	}
	return ""
}
