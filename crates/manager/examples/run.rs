//! Runs a command in a container of this machine's own programs: `cargo run --example run -- echo hello`, as root.
//! It needs `tinyd-runtime`, whose path `TINYD_RUNTIME` gives.

use std::io::Write as _;
use std::process::ExitCode;
use tinyd_engine::{ContainerSpec, Engine as _, Output, StartRequest};
use tinyd_manager::LocalEngine;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let runtime = std::env::var_os("TINYD_RUNTIME").map(std::path::PathBuf::from);
    let engine = LocalEngine::builder().runtime(runtime).open()?;
    let spec = ContainerSpec::new("host", std::env::args().skip(1)).removed_on_exit();
    let run = engine.run(&spec, &StartRequest::attached(None))?;
    let mut session = run.session.ok_or("a session was asked for")?;
    while let Some(output) = session.receive()? {
        match output {
            Output::Stdout(bytes) => std::io::stdout().write_all(bytes)?,
            Output::Stderr(bytes) => std::io::stderr().write_all(bytes)?,
            Output::Lost(_) => {}
            Output::Exited(exit) => return Ok(ExitCode::from(exit.code)),
        }
    }
    Err("the container's monitor went away".into())
}
