package rocketkit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// secret is a value from a variable, or from the file that the variable's _FILE form names.
type secret struct {
	variable, value, file string
}

func (s secret) set() bool { return s.value != "" || s.file != "" }

// read gives the value; a file's as it is now, without the white space around it. Empty where neither is set.
func (s secret) read() (string, error) {
	if s.file == "" {
		return s.value, nil
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", s.variable, err)
	}
	value := strings.TrimSpace(string(text))
	if value == "" {
		return "", fmt.Errorf("%s_FILE: %s is empty", s.variable, s.file)
	}
	return value, nil
}

// tlsFromEnv reads what FromEnv documents; nil when TLS is off.
func tlsFromEnv(lookup func(string) (string, bool)) (*tls.Config, error) {
	files := tlsFiles{
		ca:   lookupTrimmed(lookup, "ROCKETKIT_TLS_CA"),
		cert: lookupTrimmed(lookup, "ROCKETKIT_TLS_CERT"),
		key:  lookupTrimmed(lookup, "ROCKETKIT_TLS_KEY"),
	}
	name := lookupTrimmed(lookup, "ROCKETKIT_TLS_SERVER_NAME")
	on, set, err := switchFromEnv(lookup, "ROCKETKIT_TLS")
	switch {
	case err != nil:
		return nil, err
	case !set && (files != (tlsFiles{}) || name != ""):
		return nil, configError("ROCKETKIT_TLS", "not set, but others of ROCKETKIT_TLS_… are: set it to on, or to off to ignore them")
	case !on:
		return nil, nil
	}
	if (files.cert == "") != (files.key == "") {
		return nil, configError("ROCKETKIT_TLS_CERT", "a client certificate takes both ROCKETKIT_TLS_CERT and ROCKETKIT_TLS_KEY, and one is not set")
	}
	return files.config(name)
}

// tlsFiles are the paths of PEM files, each of which may be empty. They are read at each handshake, so that what was
// rotated on disk counts from the next connection on.
type tlsFiles struct {
	ca, cert, key string
}

// config makes a tls.Config on the files, which must be good now.
func (f tlsFiles) config(serverName string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}
	if f.cert != "" {
		if _, err := f.certificate(nil); err != nil {
			return nil, configError("ROCKETKIT_TLS_CERT", "%v", err)
		}
		config.GetClientCertificate = f.certificate
	}
	if f.ca != "" {
		if _, err := f.roots(); err != nil {
			return nil, configError("ROCKETKIT_TLS_CA", "%v", err)
		}
		// Crypto/tls takes a client's roots once, so rotating ones are verified against by VerifyConnection, which does
		// all that crypto/tls would have done.
		config.InsecureSkipVerify = true //nolint:gosec // see above
		config.VerifyConnection = f.verify
	}
	return config, nil
}

func (f tlsFiles) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("client certificate %s with key %s: %w", f.cert, f.key, err)
	}
	return &pair, nil
}

func (f tlsFiles) roots() (*x509.CertPool, error) {
	text, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no PEM certificate", f.ca)
	}
	return pool, nil
}

// verify checks a server's certificate against the roots of now and the name that was dialed or configured.
func (f tlsFiles) verify(state tls.ConnectionState) error {
	roots, err := f.roots()
	if err != nil {
		return fmt.Errorf("CA certificates: %w", err)
	}
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server gave no certificate")
	}
	if state.ServerName == "" { // without a name Verify would accept every server of the authority
		return errors.New("it isn't known which server this should be")
	}
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: state.ServerName})
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}
