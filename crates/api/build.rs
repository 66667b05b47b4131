//! Compiles the contract.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["proto/tinyd/v1/engine.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
