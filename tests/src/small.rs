//! File systems without room.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A small file system of its own over a folder, for as long as the value lives.
#[derive(Debug)]
pub struct Small(PathBuf);

impl Small {
    /// Mounts it, with options of tmpfs(5).
    pub fn new(folder: PathBuf, options: &str) -> Small {
        fs::create_dir_all(&folder).expect("a folder can be made");
        let options = std::ffi::CString::new(options).expect("options without a NUL");
        mount("tmpfs", &folder, "tmpfs", MountFlags::empty(), Some(options.as_c_str()))
            .expect("a tmpfs can be mounted");
        Small(folder)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // A test that fails leaves processes there; they are found by the check at its end.
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// What a file system has none of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lack {
    /// Not a block more.
    Space,
    /// Not a file more.
    Inodes,
}

impl Lack {
    /// The options of a file system on which that is soon so.
    pub fn options(self) -> &'static str {
        match self {
            Lack::Space => "size=8m",
            Lack::Inodes => "size=64m,nr_inodes=300",
        }
    }

    /// Takes all there is, in a folder of that file system; what it gives back takes it away again.
    pub fn bring_about(self, place: &Path) -> PathBuf {
        let folder = place.join("filler");
        fs::create_dir(&folder).expect("a folder can be made");
        match self {
            Lack::Space => {
                let mut file = File::create(folder.join("file")).expect("a file can be made");
                for size in [65536, 4096, 1] {
                    while file.write_all(&vec![b'x'; size]).is_ok() {}
                }
            }
            Lack::Inodes => {
                let mut number = 0;
                while File::create(folder.join(format!("{number}"))).is_ok() {
                    number += 1;
                }
            }
        }
        folder
    }
}
