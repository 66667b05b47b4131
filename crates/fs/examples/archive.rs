//! Packs a folder, and unpacks it into another: `archive FROM TO`.
//! `cargo run -p tinyd-fs --features archive --example archive FROM TO`; as root, for owners are kept.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::AsFd as _;
use tinyd_fs::archive::{Compression, Limits, Pack, Unpack, pack, unpack};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: archive FROM TO".into());
    };
    let (from, to) = (File::open(from)?, File::open(to)?);
    let mut archive = tempfile::tempfile()?;

    let options = Pack { compression: Compression::Zstd, ..Pack::default() };
    let packed = pack(from.as_fd(), &[], &mut archive, &options)?;
    let mut out = std::io::stdout();
    writeln!(out, "{} entries, {} bytes; {} left out", packed.entries, packed.bytes, packed.left_out_count)?;

    archive.rewind()?;
    // Whatever a stranger's archive holds: no device, no setuid, nothing outside `TO`, and no more than a gigabyte.
    let limits = Limits { bytes: 1 << 30, entries: 100_000 };
    let unpacked = unpack(archive, to.as_fd(), &Unpack { limits, ..Unpack::default() })?;
    for left_out in &unpacked.left_out {
        writeln!(out, "left out: {} ({:?})", left_out.path.display(), left_out.why)?;
    }
    Ok(())
}
