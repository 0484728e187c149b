package testcluster

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLS makes the servers speak nothing but TLS, among themselves too.
type TLS struct {
	// Certificate and Key are PEM files of a certificate for 127.0.0.1 and its key, in PKCS 8. All servers have it, and
	// show it where they are clients themselves, as this package does.
	Certificate, Key string

	// CA is a PEM file of who signed the certificate, and must have signed those of clients.
	CA string

	// DemandClients makes servers refuse clients without a certificate.
	DemandClients bool
}

// flags are what servers and tools are told (TlsSystemConfig). A nil TLS needs none.
func (t *TLS) flags() []string {
	if t == nil {
		return nil
	}
	demand := "none"
	if t.DemandClients {
		demand = "require"
	}
	return []string{
		"-Dtls.server.mode=enforcing", "-Dtls.enable=true", "-Dtls.test.mode.enable=false", "-Dtls.config.file=/nonexistent",
		"-Dtls.server.keyPath=" + t.Key, "-Dtls.server.certPath=" + t.Certificate, "-Dtls.server.trustCertPath=" + t.CA,
		"-Dtls.server.authClient=true", "-Dtls.server.need.client.auth=" + demand,
		"-Dtls.client.keyPath=" + t.Key, "-Dtls.client.certPath=" + t.Certificate, "-Dtls.client.trustCertPath=" + t.CA,
		"-Dtls.client.authServer=true",
	}
}

// probe is how this package itself connects; nil for a nil TLS.
func (t *TLS) probe() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, fmt.Errorf("testcluster: TLS: %w", err)
	}
	text, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, fmt.Errorf("testcluster: TLS: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("testcluster: TLS: %s holds no certificate", t.CA)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}, nil
}
