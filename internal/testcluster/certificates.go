package testcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs certificates for tests. It is safe for concurrent use.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes an Authority that nobody trusts yet.
func NewAuthority() (*Authority, error) {
	a := &Authority{}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("testcluster: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "rocketkit's tests"}, SerialNumber: serial(),
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err == nil {
		a.certificate, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return nil, fmt.Errorf("testcluster: %w", err)
	}
	return a, nil
}

// Leaf is what to certify. The zero value is for 127.0.0.1, valid for a day.
type Leaf struct {
	Host     string    // a name or an address; "" means 127.0.0.1
	NotAfter time.Time // zero means tomorrow; may have passed
}

// Issue makes a key and its certificate, in PEM, for servers and clients alike.
func (a *Authority) Issue(leaf Leaf) (certificate, key []byte, err error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "rocketkit test"}, SerialNumber: serial(),
		NotBefore: time.Now().Add(-36 * time.Hour), NotAfter: leaf.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if leaf.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(24 * time.Hour)
	}
	if leaf.Host == "" {
		leaf.Host = "127.0.0.1"
	}
	if ip := net.ParseIP(leaf.Host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{leaf.Host}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("testcluster: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &private.PublicKey, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("testcluster: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("testcluster: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// PEM returns the Authority's own certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// Write issues a certificate and writes it below dir with its key and the Authority's own, as prefix.pem, prefix.key and
// ca.pem, each at once, as a rotation does. The result can be a Config's TLS.
func (a *Authority) Write(dir, prefix string, leaf Leaf) (*TLS, error) {
	certificate, key, err := a.Issue(leaf)
	if err != nil {
		return nil, err
	}
	t := &TLS{
		Certificate: filepath.Join(dir, prefix+".pem"), Key: filepath.Join(dir, prefix+".key"), CA: filepath.Join(dir, "ca.pem"),
	}
	for path, text := range map[string][]byte{t.Certificate: certificate, t.Key: key, t.CA: a.PEM()} {
		if err := os.WriteFile(path+".new", text, 0o600); err != nil {
			return nil, fmt.Errorf("testcluster: %w", err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			return nil, fmt.Errorf("testcluster: %w", err)
		}
	}
	return t, nil
}

func serial() *big.Int { return big.NewInt(time.Now().UnixNano()) }
