package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"istio.io/istio/pkg/wasm"
)

// serveImage serves the first image of an OCI image layout from a registry in memory, forever.
func serveImage(address, directory string) error {
	index, err := layout.ImageIndexFromPath(directory)
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	if len(manifest.Manifests) != 1 {
		return fmt.Errorf("%s has %d images, not one", directory, len(manifest.Manifests))
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	// Each request is a line, so that a test can tell who asked.
	requests := log.New(os.Stdout, "", 0)
	handler := registry.New(registry.Logger(requests))
	go func() { served <- http.Serve(listener, handler) }()
	reference, err := name.ParseReference(address+"/toolgate:test", name.Insecure)
	if err != nil {
		return err
	}
	if err := remote.Write(reference, image); err != nil {
		return err
	}
	fmt.Println("ready", manifest.Manifests[0].Digest)
	return <-served
}

// fetch prints the SHA-256 of the module in an image, found as Istio's agent finds it.
func fetch(reference string) error {
	fetcher := wasm.NewImageFetcher(context.Background(), wasm.ImageFetcherOption{Insecure: true})
	binary, _, err := fetcher.PrepareFetch(reference)
	if err != nil {
		return err
	}
	module, err := binary()
	if err != nil {
		return err
	}
	fmt.Printf("%x\n", sha256.Sum256(module))
	return nil
}
