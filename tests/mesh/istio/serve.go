package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/util/sets"
	"istio.io/istio/pkg/wasm"
)

// How often the file is looked at.
const interval = 50 * time.Millisecond

// serve pushes what is in file to any proxy that connects to address. cache is where modules from registries go.
func serve(address, cache, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	configs, err := parse(text)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return err
	}
	// The server wants a test; this one turns what is fatal to it into an error.
	return test.Wrap(func(t test.Failer) {
		server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
			Configs:         configs,
			ListenerBuilder: func() (net.Listener, error) { return net.Listen("tcp", address) },
		})
		generators := server.Discovery.Generators
		generators[v3.ExtensionConfigurationType] = agent{
			generators[v3.ExtensionConfigurationType],
			wasm.NewLocalFileCache(cache, wasm.Options{InsecureRegistries: sets.New("*")}),
		}
		fmt.Println("ready")
		follow(server.Store(), file, text)
	})
}

// agent does to pushed extensions what Istio's agent does on their way to Envoy: it fetches modules from registries.
type agent struct {
	model.XdsResourceGenerator
	modules wasm.Cache
}

func (a agent) Generate(
	proxy *model.Proxy, watched *model.WatchedResource, request *model.PushRequest,
) (model.Resources, model.XdsLogDetails, error) {
	generated, details, err := a.XdsResourceGenerator.Generate(proxy, watched, request)
	if err != nil || len(generated) == 0 {
		return generated, details, err
	}
	resources := make([]*anypb.Any, len(generated))
	for i, resource := range generated {
		resources[i] = proto.Clone(resource.Resource).(*anypb.Any)
	}
	if err := wasm.MaybeConvertWasmExtensionConfig(resources, a.modules); err != nil {
		return nil, details, err
	}
	converted := make(model.Resources, len(generated))
	for i, resource := range generated {
		converted[i] = &discovery.Resource{Name: resource.Name, Resource: resources[i]}
	}
	return converted, details, nil
}

// follow puts what changes in file into the store, forever. A file that cannot be read changes nothing.
func follow(store model.ConfigStore, file string, seen []byte) {
	for ; ; time.Sleep(interval) {
		text, err := os.ReadFile(file)
		if err != nil || bytes.Equal(text, seen) {
			continue
		}
		seen = text
		configs, err := parse(text)
		if err == nil {
			err = replace(store, configs)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			continue
		}
		fmt.Println("changed")
	}
}

// replace updates the objects that are there and adds those that are not.
func replace(store model.ConfigStore, configs []config.Config) error {
	for _, object := range configs {
		write := store.Create
		if old := store.Get(object.GroupVersionKind, object.Name, object.Namespace); old != nil {
			object.ResourceVersion = old.ResourceVersion
			write = store.Update
		}
		if _, err := write(object); err != nil {
			return fmt.Errorf("%s %s: %w", object.GroupVersionKind.Kind, object.Name, err)
		}
	}
	return nil
}

// parse decodes and validates Istio objects. A ConfigMap is nothing that Istio pushes; anything else is an error.
func parse(text []byte) ([]config.Config, error) {
	configs, others, err := crd.ParseInputs(string(text))
	if err != nil {
		return nil, err
	}
	for _, other := range others {
		if other.Kind != "ConfigMap" {
			return nil, fmt.Errorf("not of Istio: %s %s", other.Kind, other.Name)
		}
	}
	return configs, nil
}
