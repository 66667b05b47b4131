//! Runs an OCI bundle with a monitor, and passes its output on.
//!
//! As root, with a bundle that `runc spec` made beside a `rootfs` folder (without its terminal):
//! `cargo run -p tinyd-runtime --example bundle -- BUNDLE`. The example is its own `tinyd-runtime`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use tinyd_runtime::client::{self, Message};
use tinyd_runtime::{Request, Rootfs, StartRequest};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let first = std::env::args().nth(1).ok_or("usage: bundle BUNDLE")?;
    if first == "monitor" {
        return Ok(tinyd_runtime::entry::main());
    }
    let id = format!("example-{}", std::process::id());
    let run_dir = PathBuf::from("/run").join(&id);
    let request = StartRequest {
        bundle: std::fs::canonicalize(first)?,
        run_dir: run_dir.clone(),
        cgroup: format!("tinyd/{id}"),
        monitor_cgroup: "tinyd/monitor".to_owned(),
        rootfs: Rootfs { overlays: Vec::new(), volatile: false, devices: false, storage: None },
        protect_program: false,
        attach: true,
        connect: false,
        secrets: Vec::new(),
        netns: None,
        interactive: false,
        window: None,
        log: None,
        exit_copy: None,
        sync: None,
        release: Vec::new(),
        trash: vec![run_dir],
        restart: None,
        health: None,
        events: None,
        id,
    };
    let mut launched = client::launch(
        &std::env::current_exe()?,
        &Request::Start(Box::new(request)),
        None,
        None,
        &mut || {},
    )?;
    while let Some(message) = launched.connection.receive()? {
        match message {
            Message::Stdout(bytes) => std::io::stdout().write_all(bytes)?,
            Message::Stderr(bytes) => std::io::stderr().write_all(bytes)?,
            // Said to those only who come later.
            Message::Attached | Message::Lost(_) => {}
            Message::Exited(exit) => return Ok(ExitCode::from(exit.code)),
        }
    }
    Err("the monitor went away".into())
}
