package testcluster

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
)

const (
	codeBrokerRuntimeInfo = 28  // RequestCode.GET_BROKER_RUNTIME_INFO
	codeClusterInfo       = 106 // RequestCode.GET_BROKER_CLUSTER_INFO
)

// ask sends one request on a connection of its own, plaintext where secure is nil.
func ask(ctx context.Context, secure *tls.Config, address string, request *frame.Frame) (*frame.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if secure != nil {
		conn = tls.Client(conn, secure)
	}
	wire, err := frame.Append(nil, request)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(wire); err != nil {
		return nil, err
	}
	return frame.Read(bufio.NewReader(conn))
}

// knows tells whether a name server answers and lists all of these brokers.
func knows(ctx context.Context, secure *tls.Config, nameServer string, brokers []string) error {
	answer, err := ask(ctx, secure, nameServer, &frame.Frame{Code: codeClusterInfo, Opaque: 1})
	if err != nil {
		return fmt.Errorf("name server %s doesn't answer: %w", nameServer, err)
	}
	if answer.Code != 0 {
		return fmt.Errorf("name server %s answers code %d: %s", nameServer, answer.Code, answer.Remark)
	}
	for _, broker := range brokers {
		// Not encoding/json: the body's keys are bare numbers.
		if !bytes.Contains(answer.Body, []byte(`"`+broker+`"`)) {
			return fmt.Errorf("broker %s isn't registered with name server %s", broker, nameServer)
		}
	}
	return nil
}

// serves tells whether a broker answers. Any answer will do: with ACLs on it is
// a refusal.
func serves(ctx context.Context, secure *tls.Config, broker string) error {
	if _, err := ask(ctx, secure, broker, &frame.Frame{Code: codeBrokerRuntimeInfo, Opaque: 1}); err != nil {
		return fmt.Errorf("broker %s doesn't answer: %w", broker, err)
	}
	return nil
}
