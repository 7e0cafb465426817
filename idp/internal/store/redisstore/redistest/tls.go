package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ellis.example/idp/internal/freeport"
)

// CA signs certificates of servers.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA returns a new authority.
func NewCA(t testing.TB) *CA {
	t.Helper()
	ca := &CA{cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	der, key := sign(t, ca.cert, ca)
	ca.key = key
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	ca.cert = cert
	return ca
}

// sign makes a key and its certificate; by an authority without a key: its own.
func sign(t testing.TB, what *x509.Certificate, by *CA) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := by.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, what, by.cert, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// Server makes a certificate for 127.0.0.1 and returns the files of it and of its key.
func (ca *CA) Server(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	der, k := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "redis"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca)
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pemFile(t, dir, "server.pem", "CERTIFICATE", der), pemFile(t, dir, "server.key", "PRIVATE KEY", raw)
}

// File writes the authority's own certificate into a folder and returns its path.
func (ca *CA) File(t testing.TB, dir string) string {
	t.Helper()
	return pemFile(t, dir, "ca.pem", "CERTIFICATE", ca.cert.Raw)
}

func pemFile(t testing.TB, dir, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Port returns a free port of loopback.
func Port(t testing.TB) int {
	t.Helper()
	port, err := freeport.Free()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
