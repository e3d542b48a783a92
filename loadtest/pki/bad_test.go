package pki

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBad shows each bad client to a TLS server and checks that the code it
// carries is the one that follows from what the server got to see.
func TestBad(t *testing.T) {
	root := Must(NewRoot())
	bad := Must(Bad(root))
	testClients(t, judge{root: root, crls: parseCRLs(t, bad.CRLs)}, bad.Clients)
}

func TestBadBelowRSARoot(t *testing.T) {
	root := Must(NewRoot(Key(RSA(2048))))
	bad := Must(Bad(root))
	testClients(t, judge{root: root, crls: parseCRLs(t, bad.CRLs)}, bad.Clients)
}

func TestBadIfStrict(t *testing.T) {
	root := Must(NewRoot())
	clients := Must(BadIfStrict(root))
	testClients(t, judge{root: root, strict: true}, clients)

	for i := range clients {
		clients[i].Code = "Success"
	}
	t.Run("alb", func(t *testing.T) { testClients(t, judge{root: root}, clients) })
}

// TestBadNeedsItsCRLs keeps the judge honest: revoked clients are refused for
// the CRLs and nothing else.
func TestBadNeedsItsCRLs(t *testing.T) {
	root := Must(NewRoot())
	var clients []BadClient
	for _, client := range Must(Bad(root)).Clients {
		if client.Code == "ClientCertCrlHit" || client.Code == "ClientCertCrlProcessingError" {
			client.Code = "Success"
			clients = append(clients, client)
		}
	}
	if len(clients) != 3 {
		t.Fatalf("got %d clients that depend on a CRL, want 3", len(clients))
	}
	testClients(t, judge{root: root}, clients)
}

func testClients(t *testing.T, j judge, clients []BadClient) {
	server := Must(j.root.Issue(Server("localhost")))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, client := range clients {
			t.Run(tls.VersionName(version)+"/"+client.Name, func(t *testing.T) {
				if got := j.code(handshake(t, server, client.TLS, version)); got != client.Code {
					t.Errorf("got %s, want %s", got, client.Code)
				}
			})
		}
	}
}

// TestBadIsComplete names every code of the certificate, revocation and proof
// rows that certificates alone can bring about.
func TestBadIsComplete(t *testing.T) {
	var names, codes []string
	for _, client := range Must(Bad(Must(NewRoot()))).Clients {
		names = append(names, client.Name)
		codes = append(codes, client.Code)
	}
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Errorf("names are not unique: %q", names)
	}
	slices.Sort(codes)
	want := []string{
		"ClientCertCrlHit", "ClientCertCrlProcessingError", "ClientCertExpired", "ClientCertIncompatible",
		"ClientCertIntentInvalid", "ClientCertInvalid", "ClientCertMaxChainDepthExceeded",
		"ClientCertMaxSizeExceeded", "ClientCertMissing", "ClientCertNotYetValid", "ClientCertPurposeInvalid",
		"ClientCertTypeUnsupported", "ClientCertUntrusted",
	}
	if diff := cmp.Diff(want, slices.Compact(codes)); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

func parseCRLs(t *testing.T, ders [][]byte) []*x509.RevocationList {
	t.Helper()
	var crls []*x509.RevocationList
	for _, der := range ders {
		crl, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		crls = append(crls, crl)
	}
	return crls
}
