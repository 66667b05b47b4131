//! Compiles the contract.

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
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure().btree_map(".").compile_fds(files)?;
    Ok(())
}
