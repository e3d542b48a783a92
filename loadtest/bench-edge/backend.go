package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// body is the backend's answer: 64 bytes.
const body = "sixty-four bytes are what this backend answers to every request."

// identityPrefix is of the header names by which every server tells the backend
// who the client is.
const identityPrefix = "X-Amzn-Mtls-"

// identityNames are those headers, without the prefix.
var identityNames = []string{"Serial-Number", "Issuer", "Subject", "Validity", "Leaf"}

func identityName(name string) string { return identityPrefix + "Clientcert-" + name }

// identityPath answers with the identity headers received, as JSON.
const identityPath = "/identity"

// runBackend serves the backend at address.
func runBackend(address string) error {
	mux := http.NewServeMux()
	answer := []byte(body)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		_, _ = w.Write(answer) // the client went away: its affair
	})
	mux.HandleFunc(identityPath, func(w http.ResponseWriter, r *http.Request) {
		got := http.Header{}
		for name, values := range r.Header {
			if strings.HasPrefix(name, identityPrefix) {
				got[name] = values
			}
		}
		_ = json.NewEncoder(w).Encode(got)
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return server.ListenAndServe()
}
