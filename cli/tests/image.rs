//! `make image`: the layout is whole, holds the module, and is the same for the same module.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MODULE: &[u8] = b"\0asm\x01\0\0\0 and the rest of it";

fn image(module: &Path, out: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/image.py");
    let mut command = Command::new("python3");
    command
        .arg(script)
        .arg("--module")
        .arg(module)
        .arg("--out")
        .arg(out);
    command.args(["--version", "1.2.3"]).output().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Every file of the layout.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

/// The blob of a descriptor, which must have its size and digest.
fn blob(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"]
        .as_str()
        .unwrap()
        .strip_prefix("sha256:")
        .unwrap();
    let bytes = std::fs::read(layout.join("blobs/sha256").join(digest)).unwrap();
    assert_eq!(hex(&bytes), digest);
    assert_eq!(descriptor["size"], bytes.len());
    bytes
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn the_layout_holds_the_module_in_the_form_that_meshes_read() {
    let scratch = tempfile::tempdir().unwrap();
    let (module, layout) = (scratch.path().join("x.wasm"), scratch.path().join("deep/image"));
    std::fs::write(&module, MODULE).unwrap();
    let said = image(&module, &layout);
    assert!(said.status.success(), "{said:?}");
    let version = parsed(&std::fs::read(layout.join("oci-layout")).unwrap());
    assert_eq!(version, json!({ "imageLayoutVersion": "1.0.0" }));
    let index = parsed(&std::fs::read(layout.join("index.json")).unwrap());
    let described = &index["manifests"][0];
    assert_eq!(
        described["annotations"]["org.opencontainers.image.ref.name"],
        "1.2.3"
    );
    let printed = String::from_utf8(said.stdout).unwrap();
    assert!(
        printed.trim().ends_with(described["digest"].as_str().unwrap()),
        "{printed}"
    );

    let manifest = parsed(&blob(&layout, described));
    assert_eq!(manifest["mediaType"], described["mediaType"]);
    let layer = &manifest["layers"][0];
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    let mut archive = Vec::new();
    flate2::read::GzDecoder::new(&*blob(&layout, layer))
        .read_to_end(&mut archive)
        .unwrap();
    let config = parsed(&blob(&layout, &manifest["config"]));
    assert_eq!(
        config["rootfs"]["diff_ids"],
        json!([format!("sha256:{}", hex(&archive))])
    );
    // One header of 512 bytes, then the content. (POSIX.1-1988, "ustar")
    let text = |from: usize, to: usize| {
        String::from_utf8_lossy(&archive[from..to])
            .trim_matches('\0')
            .to_owned()
    };
    assert_eq!(text(0, 100), "plugin.wasm");
    assert_eq!(usize::from_str_radix(&text(124, 136), 8).unwrap(), MODULE.len());
    assert_eq!(&archive[512..512 + MODULE.len()], MODULE);
    assert!(archive[1024..].iter().all(|byte| *byte == 0), "and nothing else");
}

#[test]
fn the_same_module_is_the_same_image_and_replaces_it() {
    let scratch = tempfile::tempdir().unwrap();
    let (module, layout) = (scratch.path().join("x.wasm"), scratch.path().join("image"));
    std::fs::write(&module, MODULE).unwrap();
    assert!(image(&module, &layout).status.success());
    let first = files(&layout);
    assert!(image(&module, &layout).status.success());
    assert_eq!(files(&layout), first);
    std::fs::write(&module, [MODULE, b"more"].concat()).unwrap();
    assert!(image(&module, &layout).status.success());
    let second = files(&layout);
    assert_eq!(second.len(), first.len(), "nothing of the first is left");
    assert_ne!(second, first);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 2);
}

#[test]
fn what_is_no_module_or_no_layout_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let (module, layout) = (scratch.path().join("x.wasm"), scratch.path().join("image"));
    std::fs::write(&module, "<html>").unwrap();
    let said = image(&module, &layout);
    assert_eq!(said.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&said.stderr).contains("not a WebAssembly module"),
        "{said:?}"
    );
    assert!(!layout.exists());
    std::fs::write(&module, MODULE).unwrap();
    std::fs::create_dir(&layout).unwrap();
    std::fs::write(layout.join("mine"), "x").unwrap();
    assert_eq!(image(&module, &layout).status.code(), Some(1));
    assert!(layout.join("mine").exists());
}
