//! The containers of a daemon, and what each wrote last: `cargo run -p tinyd-api --example ps -- unix:///run/tinyd/tinyd.sock`.
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use tinyd_api::{Client, Tls};
use tinyd_engine::{Engine, ListRequest, LogsRequest, Result};

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "unix:///run/tinyd/tinyd.sock".to_owned());
    let tls = std::env::var_os("TINYD_CERT_PATH").map(Tls::in_folder);
    let engine = Client::connect(&address.parse()?, tls.as_ref())?;
    show(&engine)
}

/// Whatever works with an engine of this process works with one of another.
fn show(engine: &dyn Engine) -> Result<()> {
    for container in engine.list(&ListRequest { all: true })? {
        println!("{} {} {:?}", container.id, container.status, container.command);
        let mut log = engine.logs(&container.id, &LogsRequest { tail: Some(1), ..Default::default() })?;
        while let Some(entry) = log.next()? {
            print!("    {}", String::from_utf8_lossy(&entry.data));
        }
    }
    Ok(())
}
