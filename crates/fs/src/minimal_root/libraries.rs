//! Finding what a program needs on the machine it is copied from, as its dynamic linker would.

use super::elf::{self, Elf, Kind};
use super::ld_so;
use super::search_path::{Place, default_folders, expand, places};
use crate::{Error, Result, resolve};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// How many libraries one program may need.
const MAX_LIBRARIES: usize = 1024;

/// How long a configuration or cache may be.
const MAX_TEXT: u64 = 16 << 20;

/// The file system that is copied from. Its links are followed inside it.
pub(super) struct Host {
    root: OwnedFd,
    path: PathBuf,
    cache: OnceCell<Vec<(OsString, PathBuf)>>,
    folders: OnceCell<Vec<PathBuf>>,
}

/// A file to copy.
pub(super) struct Found {
    pub(super) file: File,
    /// Where it goes.
    pub(super) put: PathBuf,
    /// How it was found.
    pub(super) by: By,
}

/// How the dynamic linker in the root will find a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// By its path, or one that the object names.
    Itself,
    /// In a folder that it looks into anyway.
    Standard,
    /// Through the cache.
    Cache,
    /// In a folder that only the configuration names, from which ldconfig would make a cache.
    Configuration,
}

/// An object whose libraries are looked for.
struct Object {
    elf: Elf,
    /// The folder that it lies in.
    origin: Place,
    /// Where to put it; for messages.
    path: PathBuf,
    /// The `DT_RPATH` of those that needed it.
    inherited: Vec<Place>,
}

impl Host {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty()).map_err(Error::path("open", path))?;
        Ok(Self { root, path: path.to_owned(), cache: OnceCell::new(), folders: OnceCell::new() })
    }

    /// A program, its interpreter, and all libraries that either needs, the program first.
    pub(super) fn closure(&self, program: &Path) -> Result<Vec<Found>> {
        let file = self.file(program).map_err(Error::path("open", self.shown(program)))?;
        let elf = elf::read(&file).map_err(self.not_elf(program))?;
        let look = self.real_folder(&file).unwrap_or_else(|| folder_of(program));
        let origin = Place { look, put: folder_of(program) };
        let mut found = vec![Found { file, put: program.to_owned(), by: By::Itself }];
        // The interpreter is a library as well, which is loaded when the others are looked for.
        let mut seen = BTreeSet::new();
        if let Some(interpreter) = &elf.interpreter {
            let path = Path::new(interpreter);
            let problem = elf::Problem::Malformed("its interpreter, which is no absolute path,");
            if !path.is_absolute() {
                return Err(self.not_elf(program)(problem));
            }
            let file = self.file(path).map_err(Error::path("open", self.shown(path)))?;
            elf::read(&file).map_err(self.not_elf(path))?;
            seen.extend(path.file_name().map(OsStr::to_owned));
            found.push(Found { file, put: path.to_owned(), by: By::Itself });
        }
        let mut waiting = vec![Object { elf, origin, path: program.to_owned(), inherited: Vec::new() }];
        while let Some(mut object) = waiting.pop() {
            let needed = std::mem::take(&mut object.elf.needed);
            if object.elf.runpath.is_none()
                && let Some(rpath) = &object.elf.rpath
            {
                let own = places(rpath, &object.origin, object.elf.kind);
                object.inherited.splice(0..0, own);
            }
            for name in needed {
                if !seen.insert(name.clone()) {
                    continue;
                }
                if seen.len() > MAX_LIBRARIES {
                    let problem = elf::Problem::TooLarge("the number of its libraries");
                    return Err(self.not_elf(program)(problem));
                }
                let (library, elf, place) = self.library(&name, &object)?;
                waiting.push(Object {
                    elf,
                    origin: Place { look: folder_of(&place.look), put: folder_of(&place.put) },
                    path: place.put,
                    inherited: object.inherited.clone(),
                });
                found.push(library);
            }
        }
        Ok(found)
    }

    fn library(&self, name: &OsStr, object: &Object) -> Result<(Found, Elf, Place)> {
        let kind = object.elf.kind;
        let mut looked_in = Vec::new();
        for (place, by) in self.candidates(name, object) {
            if let Some((file, elf)) = self.fitting(&place.look, kind) {
                return Ok((Found { file, put: place.put.clone(), by }, elf, place));
            }
            let folder = folder_of(&place.look);
            if !looked_in.contains(&folder) {
                looked_in.push(folder);
            }
        }
        Err(Error::MissingLibrary {
            library: name.display().to_string(),
            needed_by: object.path.clone(),
            host: self.path.clone(),
            looked_in: looked_in.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Where a library may lie, in the order in which the dynamic linker looks.
    fn candidates(&self, name: &OsStr, object: &Object) -> Vec<(Place, By)> {
        let kind = object.elf.kind;
        let itself = |place| (place, By::Itself);
        if name.as_bytes().contains(&b'/') {
            return expand(name, &object.origin, kind).into_iter().map(itself).collect();
        }
        let own = match &object.elf.runpath {
            Some(runpath) => places(runpath, &object.origin, kind),
            None => object.inherited.clone(),
        };
        let standard = default_folders(kind);
        let cached = self.cache().iter().filter(|(cached, _)| cached == name).map(|(_, path)| {
            let standing = path.parent().is_some_and(|folder| standard.iter().any(|one| one == folder));
            (Place::same(path), if standing { By::Standard } else { By::Cache })
        });
        let configured = self.folders().iter().filter(|folder| !standard.contains(folder));
        own.iter()
            .map(|folder| itself(folder.join(name)))
            .chain(cached)
            .chain(configured.map(|folder| (Place::same(folder.join(name)), By::Configuration)))
            .chain(standard.iter().map(|folder| (Place::same(folder.join(name)), By::Standard)))
            .collect()
    }

    /// A file, if it is a library for the same kind of machine; the dynamic linker passes others by.
    fn fitting(&self, path: &Path, kind: Kind) -> Option<(File, Elf)> {
        let file = self.file(path).ok()?;
        let elf = elf::read(&file).ok()?;
        (elf.kind == kind).then_some((file, elf))
    }

    /// Opens a file, if it is a plain one.
    pub(super) fn file(&self, path: &Path) -> std::result::Result<File, Errno> {
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
        // Neither may a FIFO keep us, nor a terminal become ours.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = resolve::open_with(self.root.as_fd(), &name, flags)?;
        match FileType::from_raw_mode(fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(File::from(file)),
            FileType::Directory => Err(Errno::ISDIR),
            _ => Err(Errno::NOTSUP),
        }
    }

    /// The folder that a file really lies in, from the root.
    fn real_folder(&self, file: &File) -> Option<PathBuf> {
        let path = |fd: i32| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok();
        let root = path(self.root.as_raw_fd())?;
        let inside = path(file.as_raw_fd())?;
        Some(Path::new("/").join(inside.strip_prefix(root).ok()?.parent()?))
    }

    fn cache(&self) -> &[(OsString, PathBuf)] {
        let read = || ld_so::Files::read(self, Path::new("/etc/ld.so.cache")).unwrap_or_default();
        self.cache.get_or_init(|| ld_so::cache(&read()))
    }

    fn folders(&self) -> &[PathBuf] {
        self.folders.get_or_init(|| ld_so::folders(self))
    }

    fn not_elf(&self, path: &Path) -> impl FnOnce(elf::Problem) -> Error + use<> {
        let path = self.shown(path);
        move |problem| Error::Program { path, problem: problem.into() }
    }

    /// A path as the caller knows it.
    fn shown(&self, path: &Path) -> PathBuf {
        self.path.join(path.strip_prefix("/").unwrap_or(path))
    }
}

impl ld_so::Files for Host {
    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(path).ok()?.take(MAX_TEXT).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn list(&self, path: &Path) -> Vec<OsString> {
        let Ok(name) = CString::new(path.as_os_str().as_bytes()) else { return Vec::new() };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let folder = resolve::open_with(self.root.as_fd(), &name, flags);
        let Ok(entries) = folder.and_then(rustix::fs::Dir::new) else { return Vec::new() };
        let names = entries.flatten().map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
        names.take(4096).collect()
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}
