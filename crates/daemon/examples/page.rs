//! An engine of its own, in a folder that goes at the end, with the web page of its containers: `cargo run -p tinyd-daemon
//! --example page -- 127.0.0.1:8808`, as root, and Ctrl-C. It needs `tinyd-runtime`, whose path `TINYD_RUNTIME` gives.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tinyd_daemon::{Daemon, Options, WebOptions};
use tinyd_engine::{ContainerSpec, Engine as _, StartRequest};
use tinyd_manager::LocalEngine;

#[allow(clippy::print_stdout, reason = "an example says what it does")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8808").parse()?;
    let folder = tempfile::tempdir()?;
    let runtime = std::env::var_os("TINYD_RUNTIME").map(PathBuf::from);
    let engine = LocalEngine::builder().within(folder.path()).runtime(runtime).open()?;
    let script = "while :; do date; n=0; while [ $n -lt 200000 ]; do n=$((n+1)); done; sleep 1; done";
    let spec = ContainerSpec::new("host", ["sh", "-c", script]);
    let container = engine.run(&spec, &StartRequest::detached())?;

    let web = Some(WebOptions { address, control: None });
    let daemon = Daemon::open(Arc::new(engine.clone()), Options { web, ..Options::default() })?;
    println!("http://{address}/ shows container {}", container.id);
    daemon.run()?;
    engine.remove(&container.id, &Default::default())?;
    Ok(())
}
