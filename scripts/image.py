#!/usr/bin/env python3
"""Writes the filter as an image that registries, Istio, Envoy Gateway and Kubernetes take, without Docker.

    scripts/image.py [--module FILE] [--out DIR] [--version TAG] [--architecture ARCH]

The result is an OCI image layout with one image of one layer that holds `plugin.wasm`: the "compat" form of Wasm
images, which is an ordinary image as well and can be mounted as a volume. The same module gives the same bytes.

https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md
"""

import argparse
import gzip
import hashlib
import io
import json
import pathlib
import shutil
import sys
import tarfile
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The name that Istio and Envoy Gateway look for.
MEMBER = "plugin.wasm"
WASM_MAGIC = b"\0asm"


def main() -> int:
    arguments = parse_arguments()
    module = arguments.module.read_bytes()
    if not module.startswith(WASM_MAGIC):
        print(f"error: {arguments.module} is not a WebAssembly module", file=sys.stderr)
        return 1
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    # Beside the result, so that it is moved and not copied.
    with tempfile.TemporaryDirectory(dir=arguments.out.parent, prefix=".image-") as scratch:
        layout = pathlib.Path(scratch) / "layout"
        digest = write_layout(layout, module, arguments.version, arguments.architecture)
        layout.chmod(0o755)
        if arguments.out.exists():
            if not (arguments.out / "oci-layout").is_file():
                print(f"error: {arguments.out} is there and no image layout", file=sys.stderr)
                return 1
            shutil.rmtree(arguments.out)
        layout.rename(arguments.out)
    print(f"{arguments.out}: toolgate:{arguments.version} sha256:{digest}")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--module", type=pathlib.Path, default=ROOT / "dist/toolgate.wasm")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "dist/image")
    parser.add_argument("--version", default=workspace_version(), help="the image's tag in the layout")
    parser.add_argument("--architecture", default="amd64", help="of the nodes that mount it as a volume; Wasm has none")
    return parser.parse_args()


def workspace_version() -> str:
    with open(ROOT / "Cargo.toml", "rb") as file:
        return tomllib.load(file)["workspace"]["package"]["version"]


def write_layout(layout: pathlib.Path, module: bytes, version: str, architecture: str) -> str:
    """Writes everything, and returns the digest of the image's manifest."""
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(content: bytes, media_type: str) -> dict:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    archive = tar(module)
    annotations = {
        "org.opencontainers.image.title": "toolgate",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.description": "An Envoy filter that governs MCP traffic",
    }
    # No time of creation, so that the same module is the same image.
    config = put(encode({
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(archive).hexdigest()}"]},
    }), "application/vnd.oci.image.config.v1+json")
    layer = put(gzip.compress(archive, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")
    manifest = put(encode({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer],
        "annotations": annotations,
    }), "application/vnd.oci.image.manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": version}
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [manifest],
    }
    (layout / "index.json").write_bytes(encode(index))
    (layout / "oci-layout").write_bytes(encode({"imageLayoutVersion": "1.0.0"}))
    return manifest["digest"].removeprefix("sha256:")


def tar(module: bytes) -> bytes:
    """An archive of the module alone, owned by root, from the beginning of time."""
    member = tarfile.TarInfo(MEMBER)
    member.size = len(module)
    member.mode = 0o644
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(module))
    return out.getvalue()


def encode(document: dict) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


if __name__ == "__main__":
    sys.exit(main())
