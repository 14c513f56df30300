package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	"google.golang.org/protobuf/proto"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"
	"istio.io/istio/pkg/util/protomarshal"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

// check decodes every document of the files as the type that it says it is. A field that the type lacks is an error,
// and so is everything that Istio warns about.
func check(files []string) error {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		count, err := checkDocuments(text)
		if err != nil {
			return fmt.Errorf("%s, document %d: %w", file, count+1, err)
		}
		if count == 0 {
			return fmt.Errorf("%s: no document", file)
		}
		fmt.Printf("%s: %d documents\n", file, count)
	}
	return nil
}

// checkDocuments returns how many documents are right, up to the first that is not.
func checkDocuments(text []byte) (int, error) {
	documents := kubeyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 1<<20)
	count := 0
	for {
		var document json.RawMessage
		switch err := documents.Decode(&document); {
		case errors.Is(err, io.EOF):
			return count, nil
		case err != nil:
			return count, err
		case len(document) == 0 || string(document) == "null":
			continue
		}
		if err := checkDocument(document); err != nil {
			return count, err
		}
		count++
	}
}

func checkDocument(document []byte) error {
	var kind metav1.TypeMeta
	if err := json.Unmarshal(document, &kind); err != nil {
		return err
	}
	group := kind.GroupVersionKind()
	if schema, exists := collections.All.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&group)); exists && !schema.IsBuiltin() {
		return checkIstio(schema, document)
	}
	return checkKubernetes(document)
}

func checkIstio(schema resource.Schema, document []byte) error {
	var object crd.IstioKind
	strict := json.NewDecoder(bytes.NewReader(document))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&object); err != nil {
		return err
	}
	spec, err := schema.NewInstance()
	if err != nil {
		return err
	}
	message, ok := spec.(proto.Message)
	if !ok {
		return fmt.Errorf("%s is no protobuf message", object.Kind)
	}
	if err := protomarshal.ApplyJSONStrict(string(object.Spec), message); err != nil {
		return err
	}
	converted, err := crd.ConvertObject(schema, &object, "")
	if err != nil {
		return err
	}
	warning, err := schema.ValidateConfig(*converted)
	return errors.Join(err, unexpected(warning))
}

// unexpected leaves out what Istio says of every EnvoyFilter.
func unexpected(warning error) error {
	warnings := []error{warning}
	if many := (*multierror.Error)(nil); errors.As(warning, &many) {
		warnings = many.Errors
	}
	return errors.Join(slices.DeleteFunc(warnings, func(warning error) bool {
		return warning == nil || strings.HasPrefix(warning.Error(), "EnvoyFilter exposes internal implementation details")
	})...)
}

func checkKubernetes(document []byte) error {
	codecs := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)
	_, _, err := codecs.UniversalDeserializer().Decode(document, nil, nil)
	return err
}
