package remoting

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// secured dials by dial and makes the TLS handshake before the connection counts as open.
func secured(dial DialFunc, config *tls.Config) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		plain, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		own := config.Clone()
		if own.ServerName == "" {
			if own.ServerName, _, err = net.SplitHostPort(address); err != nil {
				own.ServerName = address
			}
		}
		if config.VerifyConnection != nil {
			own.VerifyConnection = func(state tls.ConnectionState) error {
				state.ServerName = own.ServerName // crypto/tls leaves it empty for an address, and brokers go by addresses
				return config.VerifyConnection(state)
			}
		}
		conn := tls.Client(plain, own)
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, explainHandshake(err, own.ServerName)
		}
		return &secureConn{conn}, nil
	}
}

// secureConn explains the alerts of a server that judges the client's certificate only after the client's handshake is
// done, as TLS 1.3 has it.
type secureConn struct{ *tls.Conn }

func (c *secureConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		err = explainAlert(err)
	}
	return n, err
}

// explainHandshake says what was wrong and what to do; the cause stays wrapped. Remoting's Error adds the address.
func explainHandshake(err error, name string) error {
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &host):
		return fmt.Errorf("TLS: the server's certificate is not for %s but for %s: set ServerName to a name in it, or give the server "+
			"one for its own: %w", name, namesIn(host.Certificate), err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("TLS: the server's certificate is valid from %s to %s only: renew it, or set this machine's clock: %w",
			invalid.Cert.NotBefore.Format("2006-01-02 15:04:05 MST"), invalid.Cert.NotAfter.Format("2006-01-02 15:04:05 MST"), err)
	case errors.As(err, &unknown):
		return fmt.Errorf("TLS: the server's certificate is signed by an authority that isn't trusted here: set the CA that signed it: %w", err)
	case errors.As(err, &record), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("TLS: the server does not seem to speak TLS: turn it on there (tls.server.mode permissive or enforcing), or off here: %w", err)
	}
	return explainAlert(err)
}

// explainAlert explains what a server says of the client's certificate. Crypto/tls has no exported type for alerts.
func explainAlert(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return err
	}
	for text, why := range map[string]string{
		"certificate required":          "the server demands a client certificate, and none was given",
		"bad certificate":               "the server demands a client certificate that it trusts, and refused the one given, or that none was",
		"unknown certificate authority": "the server doesn't trust the authority that signed the client certificate",
		"unknown certificate":           "the server refused the client certificate, by whose authority it doesn't trust for one",
		"expired certificate":           "the client certificate has expired, or isn't valid yet",
		"revoked certificate":           "the client certificate was revoked",
	} {
		if strings.HasSuffix(op.Err.Error(), text) {
			return fmt.Errorf("TLS: %s: give one that the server's tls.server.trustCertPath signed, with its key: %w", why, err)
		}
	}
	return err
}

// namesIn lists what a certificate is for.
func namesIn(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name at all"
	}
	return strings.Join(names, ", ")
}
