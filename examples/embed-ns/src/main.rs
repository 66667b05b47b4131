//! A walled-off program, made with `tinyd-ns` alone: namespaces, maps of ids, no way to more rights, a seccomp filter.
//! As root: `cargo run --manifest-path examples/embed-ns/Cargo.toml`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::Command;
use tinyd_ns::caps::CapSet;
use tinyd_ns::idmap::IdMaps;
use tinyd_ns::launch::Launch;
use tinyd_ns::seccomp::{Arch, FilterFlags, compile, default_profile};
use tinyd_ns::{Namespaces, process};

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("inside") {
        return inside();
    }
    // It is started a second time, as process 1 of its own world, in which root is user 100,000 of this one.
    let inside = Launch::new(Namespaces::ISOLATED | Namespaces::USER, "/proc/self/exe")
        .args(["inside"])
        .id_maps(IdMaps::contiguous(100_000, 1_000))
        .host_name("embedded")
        .spawn()?;
    println!("it ended with {}", inside.wait()?.code());
    Ok(())
}

fn inside() -> Result<(), Box<dyn Error>> {
    process::set_no_new_privs()?;
    // From here on neither it nor what it starts can make a namespace, mount, trace the kernel, …
    compile(&default_profile(CapSet::EMPTY), Arch::NATIVE)?.program.load(FilterFlags::empty())?;
    let script = "echo process $$ on $(hostname) is user $(id -u)
        echo root is user $(awk '{ print $2 }' /proc/self/uid_map) outside
        unshare --mount true 2>/dev/null || echo and it can make no namespace";
    let status = Command::new("sh").args(["-c", script]).status()?;
    println!("the shell: {status}");
    Ok(())
}
