// Command istio is what the tests need of Istio: its discovery server, its agent's module fetcher, its validation.
//
//	istio serve ADDRESS CACHE FILE   xDS for a gateway; FILE is read again whenever it changes
//	istio check FILE...              decodes every document strictly and has Istio and Kubernetes types validate it
//	istio registry ADDRESS LAYOUT    an image registry with the OCI image layout in LAYOUT as toolgate:test
//	istio fetch REFERENCE            fetches a module as Istio's agent does and prints its SHA-256
//
// Its own Kubernetes controllers are left out; a store in memory stands for them, as in Istio's tests.
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) > 0 {
		switch command, rest := arguments[0], arguments[1:]; {
		case command == "serve" && len(rest) == 3:
			return serve(rest[0], rest[1], rest[2])
		case command == "check" && len(rest) > 0:
			return check(rest)
		case command == "registry" && len(rest) == 2:
			return serveImage(rest[0], rest[1])
		case command == "fetch" && len(rest) == 1:
			return fetch(rest[0])
		}
	}
	return errors.New("usage: istio serve ADDRESS CACHE FILE | check FILE... | registry ADDRESS LAYOUT | fetch REFERENCE")
}
