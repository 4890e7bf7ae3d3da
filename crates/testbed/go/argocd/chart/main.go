// Makes a Helm chart of Argo CD's own manifests for a cluster without its web server: chart MANIFESTS VERSION DIRECTORY.
//
// The published chart is not to be had here. This one brings the same custom resources, and objects of the same names;
// what an object says is what Argo CD's release says, but for what `change` does.
package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

//go:embed files
var files embed.FS

// Object is what a manifest says.
type Object = map[string]any

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: chart MANIFESTS VERSION DIRECTORY")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func write(manifests, version, directory string) error {
	if err := copyFiles(version, directory); err != nil {
		return err
	}
	text, err := os.ReadFile(manifests)
	if err != nil {
		return err
	}
	for _, document := range strings.Split(string(text), "\n---\n") {
		object := Object{}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			return err
		}
		if err := writeObject(object, directory); err != nil {
			return err
		}
	}
	return nil
}

// The chart's own files, with its version.
func copyFiles(version, directory string) error {
	return fs.WalkDir(files, "files", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(directory, strings.TrimPrefix(path, "files/"))
		return put(to, strings.ReplaceAll(string(text), "CHART_VERSION", version))
	})
}

func put(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func writeObject(object Object, directory string) error {
	kind, name := text(object, "kind"), text(object, "metadata", "name")
	if kind == "" || left(kind, name) {
		return nil
	}
	if kind == "CustomResourceDefinition" {
		at(object, "metadata", "annotations")["helm.sh/resource-policy"] = "keep"
	}
	change(kind, name, object)
	bytes, err := yaml.Marshal(object)
	if err != nil {
		return err
	}
	if kind == "CustomResourceDefinition" {
		return put(filepath.Join(directory, "custom-resources", name+".yaml"), string(bytes))
	}
	return put(filepath.Join(directory, "templates", strings.ToLower(kind)+"-"+name+".yaml"), template(string(bytes)))
}

// What is not in this chart: parts whose programs are not built here, and objects that the chart writes itself.
func left(kind, name string) bool {
	if kind == "CustomResourceDefinition" {
		return false
	}
	own := map[string]bool{
		"ConfigMap/argocd-cm":            true,
		"ConfigMap/argocd-cmd-params-cm": true,
		"ConfigMap/argocd-rbac-cm":       true,
		"Secret/argocd-secret":           true,
	}
	return strings.HasPrefix(name, "argocd-applicationset") || own[kind+"/"+name]
}

// Names that stand in an object until it is text.
const (
	releaseNamespace = "RELEASE_NAMESPACE"
	releaseName      = "RELEASE_NAME"
	argocdImage      = "ARGOCD_IMAGE"
	redisImage       = "REDIS_IMAGE"
)

// Braces are a template's in Helm, and nothing else may be taken for one.
func template(text string) string {
	text = strings.ReplaceAll(text, "{{", `{{ "{{" }}`)
	return strings.NewReplacer(
		releaseNamespace, "{{ .Release.Namespace }}",
		releaseName, "{{ .Release.Name }}",
		argocdImage, "{{ .Values.global.image.repository }}:{{ .Values.global.image.tag }}",
		redisImage, "{{ .Values.redis.image.repository }}:{{ .Values.redis.image.tag }}",
	).Replace(text)
}

func change(kind, name string, object Object) {
	if kind != "CustomResourceDefinition" {
		at(object, "metadata", "labels")["app.kubernetes.io/instance"] = releaseName
	}
	for _, subject := range list(object, "subjects") {
		subject.(Object)["namespace"] = releaseNamespace
	}
	if kind != "Deployment" && kind != "StatefulSet" {
		return
	}
	pod := at(object, "spec", "template", "spec")
	// One copies a program for plugins, of which there are none; one makes a secret, which this chart makes.
	delete(pod, "initContainers")
	for _, one := range list(object, "spec", "template", "spec", "containers") {
		container := one.(Object)
		container["imagePullPolicy"] = "IfNotPresent"
		if name == "argocd-redis" {
			container["image"] = redisImage
			continue
		}
		container["image"] = argocdImage
		// It would want gpg in the image, for signatures that no repository here has.
		off := Object{"name": "ARGOCD_GPG_ENABLED", "value": "false"}
		container["env"] = append(list(container, "env"), off)
	}
}

// The map at a path, made where it is not there.
func at(object Object, path ...string) Object {
	for _, step := range path {
		next, ok := object[step].(Object)
		if !ok {
			next = Object{}
			object[step] = next
		}
		object = next
	}
	return object
}

func list(object Object, path ...string) []any {
	last := len(path) - 1
	for _, step := range path[:last] {
		object, _ = object[step].(Object)
	}
	found, _ := object[path[last]].([]any)
	return found
}

func text(object Object, path ...string) string {
	last := len(path) - 1
	for _, step := range path[:last] {
		object, _ = object[step].(Object)
	}
	found, _ := object[path[last]].(string)
	return found
}
