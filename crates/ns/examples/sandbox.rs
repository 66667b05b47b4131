//! Runs a command with no privilege left: no capability, no way to regain one, and the default seccomp filter.
//!
//! ```text
//! cargo run --example sandbox -- sh -c 'grep -E "Cap|Seccomp:|NoNewPrivs" /proc/self/status; unshare -m true'
//! ```

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::Command;

use tinyd_ns::caps::{self, CapSet, Capability};
use tinyd_ns::seccomp::{Arch, FilterFlags, compile, default_profile};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let program = args.next().ok_or("usage: sandbox COMMAND [ARGUMENT…]")?;
    let filter = compile(&default_profile(CapSet::EMPTY), Arch::NATIVE)?.program;

    // Without the right to drop it, the bounding set stays; no_new_privs makes sure that nothing comes of it.
    if caps::CapSets::current()?.effective.contains(Capability::Setpcap) {
        caps::drop_bounding(CapSet::EMPTY)?;
    }
    caps::set(CapSet::EMPTY, CapSet::EMPTY, CapSet::EMPTY)?;
    rustix::thread::set_no_new_privs(true)?;
    // Last: with no_new_privs the filter needs no capability, and confines nothing of the above.
    filter.load(FilterFlags::empty())?;

    let failed = Command::new(&program).args(args).exec();
    Err(format!("cannot run {}: {failed}", program.display()).into())
}
