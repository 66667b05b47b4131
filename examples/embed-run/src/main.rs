//! A container from a program of one's own. As root, in `examples/embed-run`: `cargo build && target/debug/embed-run`.
#![forbid(unsafe_code)]

use std::error::Error;
use tinyd_engine::{ContainerSpec, Engine as _, StartRequest};
use tinyd_manager::LocalEngine;

fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::temp_dir().join(format!("embed-run-{}", std::process::id()));
    let engine = LocalEngine::builder().within(&place).open()?;
    let script = "echo I am process $$; exit 7";
    let spec = ContainerSpec::new("host", ["sh", "-c", script]).removed_on_exit();
    let ended = engine.run(&spec, &StartRequest::attached(None))?.collect()?;
    print!("it said: {}", String::from_utf8_lossy(&ended.stdout));
    println!("it ended with {}", ended.exit.code);
    std::fs::remove_dir_all(place)?;
    Ok(())
}
