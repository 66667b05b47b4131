//! Compiles the contract.

use std::path::Path;

use prost::Message;

/// The files with services; the others are what these import.
const FILES: [&str; 6] = [
    "tinyd/v1/containers.proto",
    "tinyd/v1/networks.proto",
    "tinyd/v1/volumes.proto",
    "tinyd/v1/secrets.proto",
    "tinyd/v1/system.proto",
    "tinyd/v1/errors.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto/tinyd");
    let files = protox::compile(FILES, ["proto"])?;
    let mut described = files.clone();
    // What the comments say, and where, is most of it, and nothing of the contract.
    described.file.iter_mut().for_each(|file| file.source_code_info = None);
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("contract.bin"), described.encode_to_vec())?;
    tonic_prost_build::configure().btree_map(".").compile_fds(files)?;
    Ok(())
}
