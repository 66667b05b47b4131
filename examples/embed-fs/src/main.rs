//! A root with nothing but a shell, made with `tinyd-fs` alone. As root:
//! `cargo run --manifest-path examples/embed-fs/Cargo.toml`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::path::Path;
use std::process::Command;
use tinyd_fs::{minimal_root, mount};

fn main() -> Result<(), Box<dyn Error>> {
    // Whatever is mounted from here on, nobody else sees.
    mount::private_namespace()?;
    let root = std::env::temp_dir().join(format!("embed-fs-{}", std::process::id()));
    let result = look_inside(&root);
    minimal_root::clean_up(&root)?;
    tinyd_fs::remove_tree(&root)?;
    result
}

fn look_inside(root: &Path) -> Result<(), Box<dyn Error>> {
    minimal_root::create(root)?;
    for path in minimal_root::populate(root, Path::new("/"))? {
        println!("copied {}", path.display());
    }
    minimal_root::mount_file_systems(root)?;
    let script =
        "echo in here: /* && read -r name < /proc/self/comm && echo I am $name && echo x > /dev/null";
    let status = Command::new("chroot").arg(root).args(["/bin/sh", "-c", script]).status()?;
    println!("the shell inside: {status}");
    Ok(())
}
