//! Where the dynamic linker looks for a library (ld.so(8)).

use super::elf::Kind;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// How many folders one path may name.
const MAX_FOLDERS: usize = 64;

/// A place to look, on the machine that is copied from, and where it is in the root. They differ below `$ORIGIN`: a program
/// that was found through a link lies elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) look: PathBuf,
    pub(super) put: PathBuf,
}

impl Place {
    pub(super) fn same(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { look: path.clone(), put: path }
    }

    pub(super) fn join(&self, name: &OsStr) -> Self {
        Self { look: self.look.join(name), put: self.put.join(name) }
    }
}

/// The folder of this machine's kind below `lib`, as Debian and its heirs name it.
fn triplet(kind: Kind) -> Option<&'static str> {
    Some(match (kind.machine, kind.wide, kind.big_endian) {
        (3, false, false) => "i386-linux-gnu",
        (62, true, false) => "x86_64-linux-gnu",
        (62, false, false) => "x86_64-linux-gnux32",
        (183, true, false) => "aarch64-linux-gnu",
        (40, false, false) => "arm-linux-gnueabihf",
        (243, true, false) => "riscv64-linux-gnu",
        (258, true, false) => "loongarch64-linux-gnu",
        (21, true, false) => "powerpc64le-linux-gnu",
        (21, true, true) => "powerpc64-linux-gnu",
        (22, true, true) => "s390x-linux-gnu",
        (8, true, false) => "mips64el-linux-gnuabi64",
        _ => return None,
    })
}

fn platform(kind: Kind) -> &'static str {
    triplet(kind).and_then(|triplet| triplet.split('-').next()).unwrap_or("unknown")
}

/// What `$LIB` may stand for.
fn lib(kind: Kind) -> Vec<String> {
    let plain = if kind.wide { ["lib64", "lib"] } else { ["lib", "lib32"] };
    let own = triplet(kind).map(|triplet| format!("lib/{triplet}"));
    own.into_iter().chain(plain.map(str::to_owned)).collect()
}

/// The folders that are looked at last: those of glibc, as it is built for the usual distributions, and of musl.
pub(super) fn default_folders(kind: Kind) -> Vec<PathBuf> {
    let mut all: Vec<_> = lib(kind)
        .iter()
        .flat_map(|lib| [format!("/{lib}"), format!("/usr/{lib}")])
        .map(PathBuf::from)
        .collect();
    all.push(PathBuf::from("/usr/local/lib"));
    all
}

/// The places of a `DT_RPATH` or `DT_RUNPATH` of an object that lies in the folder `origin`. What is relative to whatever
/// folder a process happens to be in is left out.
pub(super) fn places(text: &OsStr, origin: &Place, kind: Kind) -> Vec<Place> {
    text.as_bytes()
        .split(|byte| *byte == b':')
        .take(MAX_FOLDERS)
        .flat_map(|folder| expand(OsStr::from_bytes(folder), origin, kind))
        .collect()
}

/// A path with its tokens replaced, if it is an absolute one then; several where a token may stand for several things.
pub(super) fn expand(path: &OsStr, origin: &Place, kind: Kind) -> Vec<Place> {
    let libs = if has_token(path, "LIB") { lib(kind) } else { vec![String::new()] };
    libs.iter()
        .map(|lib| {
            let of = |origin: &Path| {
                let origin = origin.as_os_str().as_bytes();
                let values: [(&str, &[u8]); 3] =
                    [("ORIGIN", origin), ("LIB", lib.as_bytes()), ("PLATFORM", platform(kind).as_bytes())];
                PathBuf::from(replace(path.as_bytes(), &values))
            };
            Place { look: of(&origin.look), put: of(&origin.put) }
        })
        .filter(|place| place.look.is_absolute() && place.put.is_absolute())
        .collect()
}

fn has_token(path: &OsStr, name: &str) -> bool {
    let bytes = path.as_bytes();
    (0..bytes.len()).any(|at| token(&bytes[at..], name).is_some())
}

/// How long `$NAME` or `${NAME}` is, if that is what stands at the start.
fn token(bytes: &[u8], name: &str) -> Option<usize> {
    let rest = bytes.strip_prefix(b"$")?;
    let whole = |rest: &[u8]| rest.strip_prefix(name.as_bytes()).map(<[u8]>::to_vec);
    if let Some(rest) = rest.strip_prefix(b"{") {
        return whole(rest).filter(|rest| rest.first() == Some(&b'}')).map(|_| name.len() + 3);
    }
    let ends =
        |rest: &Vec<u8>| !rest.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    whole(rest).filter(ends).map(|_| name.len() + 1)
}

fn replace(path: &[u8], values: &[(&str, &[u8])]) -> OsString {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        match values.iter().find_map(|(name, value)| Some((token(&path[at..], name)?, value))) {
            Some((length, value)) => {
                out.extend_from_slice(value);
                at += length;
            }
            None => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { wide: true, big_endian: false, machine: 62 };

    #[test]
    fn tokens_are_replaced_and_what_is_relative_is_left_out() {
        let origin = Place { look: PathBuf::from("/usr/bin"), put: PathBuf::from("/bin") };
        let text = OsStr::new("$ORIGIN/../lib:${ORIGIN}/x::relative:/opt/$PLATFORM:$ORIGINAL:/$ORIGIN_");
        let found = places(text, &origin, KIND);
        let place = |look: &str, put: &str| Place { look: look.into(), put: put.into() };
        assert_eq!(
            found,
            [
                place("/usr/bin/../lib", "/bin/../lib"),
                place("/usr/bin/x", "/bin/x"),
                place("/opt/x86_64", "/opt/x86_64"),
                place("/$ORIGIN_", "/$ORIGIN_"),
            ]
        );
        let found = places(OsStr::new("/opt/$LIB"), &origin, KIND);
        let found: Vec<_> = found.iter().map(|place| place.look.to_str().unwrap()).collect();
        assert_eq!(found, ["/opt/lib/x86_64-linux-gnu", "/opt/lib64", "/opt/lib"]);
        assert_eq!(places(OsStr::new(&"/a:".repeat(5000)), &origin, KIND).len(), MAX_FOLDERS);
    }
}
