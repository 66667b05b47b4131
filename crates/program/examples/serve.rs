//! Serves the names of a network that has one container, `web`, on a port of this host, and asks for it. The server ends by itself
//! when the container is gone.
//!
//! `cargo run -p tinyd-program --example serve -- target/release/tinyd-runtime`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;
use tinyd_net::names::{Entry, NameService as _, ServerSpec};
use tinyd_program::names::Service;

fn main() -> Result<(), Box<dyn Error>> {
    let program = std::env::args_os().nth(1).ok_or("which tinyd-runtime? give its path")?;
    let program = PathBuf::from(program).canonicalize()?;
    let place = tempfile::tempdir()?;
    let folder = place.path().join("web");
    std::fs::create_dir(&folder)?;
    let web =
        Entry { addresses: vec!["10.88.0.2".parse()?], names: vec!["web".to_owned()], ..Entry::default() };
    web.write(&folder, "0123456789ab")?;

    let service = Service::new(move || Ok(program.clone()), "tinyd-names-example");
    let served = service.serve(&ServerSpec {
        listen: vec!["127.0.0.1:0".parse()?],
        folder,
        subnets: vec!["127.0.0.0/8".parse()?],
        resolv_conf: "/etc/resolv.conf".into(),
        internal: true,
    })?;
    println!("served at {:?}", served.listen);

    // A question as RFC 1035 has it: recursion is desired; web, of type A, of the Internet.
    let question = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x00\x00\x01\x00\x01";
    let asker = UdpSocket::bind("127.0.0.1:0")?;
    asker.set_read_timeout(Some(Duration::from_secs(5)))?;
    asker.send_to(question, served.listen[0])?;
    let mut answer = [0; 512];
    let length = asker.recv(&mut answer)?;
    println!("web has the address {:?}", &answer[length - 4..length]);
    Ok(())
}
