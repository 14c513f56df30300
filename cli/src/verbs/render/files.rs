//! `render ecds` and `render configmap`: the policy as a file that Envoy watches.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Outcome};
use crate::manifest::{self, Name};
use crate::policy_file::{PolicyArgs, PolicyFile};
use crate::rollout;
use crate::verbs::proxy::existing;

#[derive(Debug, Args)]
pub(super) struct EcdsArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// The compiled filter, toolgate.wasm.
    #[arg(long, value_name = "FILE")]
    wasm: PathBuf,
    /// The directory that Envoy watches (render envoy --policy-file DIR); what it has is replaced in one step.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ConfigmapArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Where the proxy has the compiled filter, in its own file system.
    #[arg(long, value_name = "PATH")]
    wasm: String,
    /// The ConfigMap's name.
    #[arg(long, default_value = "toolgate")]
    name: Name,
    /// The ConfigMap's namespace.
    #[arg(long, default_value = "default")]
    namespace: Name,
}

pub(super) fn ecds(args: &EcdsArgs) -> Outcome {
    let wasm = existing(&args.wasm, "--wasm")?;
    let file = args.policy.load()?;
    write(&file, &wasm, &args.out)?;
    Ok(0)
}

/// Puts the policy into force in a directory.
pub(super) fn write(file: &PolicyFile, wasm: &Path, directory: &Path) -> Outcome<()> {
    let digest = hex(&Sha256::digest(std::fs::read(wasm)?));
    let wasm = wasm
        .to_str()
        .ok_or_else(|| Failure::usage("--wasm: the path is not UTF-8"))?;
    let text = manifest::ecds(&file.policy, &file.document, wasm, Some(&digest));
    rollout::replace(directory, manifest::ECDS_FILE, &text)?;
    Ok(())
}

pub(super) fn configmap(args: &ConfigmapArgs) -> Outcome {
    if !args.wasm.starts_with('/') {
        return Err(
            Failure::usage(format!("--wasm {}: not an absolute path", args.wasm))
                .fix("give the path that the proxy has, for example /opt/toolgate/toolgate.wasm"),
        );
    }
    let file = args.policy.load()?;
    let text = manifest::ecds(&file.policy, &file.document, &args.wasm, None);
    let map = manifest::configmap(&args.name, &args.namespace, &text)?;
    super::warn_of_size(&map);
    std::io::stdout()
        .lock()
        .write_all(manifest::to_yaml(&[map])?.as_bytes())?;
    Ok(0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
