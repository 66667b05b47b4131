//! Where an entry goes: names as the archive has them, and folders below the root that nothing leads out of.

use super::problem::Problem;
use crate::copy::Owner;
use crate::object::Object;
use crate::resolve;
use rustix::fs::{Mode, OFlags, mkdirat};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// A name as its components. One that begins with `/` begins at the root; `..` is refused, for it means one thing to who
/// reads the list of an archive and another where links are; so is what cannot be a name.
pub(super) fn components(path: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    let bad = || Problem::Name(String::from_utf8_lossy(&path[..path.len().min(200)]).into_owned());
    if path.is_empty() || path.contains(&0) {
        return Err(bad());
    }
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err(bad()),
            name => names.push(name),
        }
    }
    Ok(names)
}

/// The folders of a root.
pub(super) struct Folders<'a> {
    root: BorrowedFd<'a>,
    /// Where in it the archive's names begin.
    at: Vec<u8>,
    /// Whose the folders are that no entry tells of.
    owner: Owner,
    /// The last one.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
}

impl<'a> Folders<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, at: &[u8], owner: Owner) -> Self {
        Self { root, at: at.to_vec(), owner, last: None }
    }

    /// A path as it is seen from the root.
    pub(super) fn path(&self, names: &[&[u8]]) -> Result<CString, Problem> {
        let path = [b"/", &self.at[..], b"/", &names.join(&b'/')].concat();
        CString::new(path).map_err(|_| Problem::file("open")(Errno::INVAL))
    }

    /// To be called where a folder was replaced.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// A folder that must be there.
    pub(super) fn existing(&self, names: &[&[u8]]) -> Result<OwnedFd, Problem> {
        resolve::open_with(self.root, &self.path(names)?, FOLDER).map_err(Problem::file("open the folder of"))
    }

    /// A folder, made where it is missing. Links that are there are followed below the root.
    pub(super) fn ensure(&mut self, names: &[&[u8]]) -> Result<Rc<OwnedFd>, Problem> {
        let path = names.join(&b'/');
        if let Some((known, folder)) = &self.last
            && *known == path
        {
            return Ok(Rc::clone(folder));
        }
        let folder = Rc::new(self.find(names)?);
        self.last = Some((path, Rc::clone(&folder)));
        Ok(folder)
    }

    fn find(&self, names: &[&[u8]]) -> Result<OwnedFd, Problem> {
        let failed = Problem::file::<Errno>;
        match resolve::open_with(self.root, &self.path(names)?, FOLDER) {
            Err(Errno::NOENT) => {}
            found => return found.map_err(failed("open the folder of")),
        }
        let mut folder = self.existing(&[])?;
        for end in 1..=names.len() {
            let path = self.path(&names[..end])?;
            folder = match resolve::open_with(self.root, &path, FOLDER) {
                Err(Errno::NOENT) => {
                    let name = CString::new(names[end - 1])
                        .map_err(|_| failed("create the folder of")(Errno::INVAL))?;
                    // A link to nothing is in the way (`EEXIST`): what it would lead to is not made.
                    mkdirat(&folder, &name, Mode::from_raw_mode(0o755))
                        .map_err(failed("create the folder of"))?;
                    let made = resolve::open_beneath(folder.as_fd(), &name, FOLDER | OFlags::NOFOLLOW)
                        .map_err(failed("create the folder of"))?;
                    let Owner { uid, gid } = self.owner;
                    Object::reference(made.as_fd())
                        .set_owner(uid, gid)
                        .map_err(failed("give an owner to the folder of"))?;
                    made
                }
                found => found.map_err(failed("open the folder of"))?,
            };
        }
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_names_lead_down_only() {
        assert_eq!(components(b"./a//b/./c/").unwrap(), [b"a", b"b", b"c"]);
        assert_eq!(components(b"///etc/passwd").unwrap(), [&b"etc"[..], b"passwd"]);
        assert_eq!(components(b"a/...").unwrap(), [&b"a"[..], b"..."]);
        assert!(components(b"./").unwrap().is_empty());
        for bad in [&b""[..], b"..", b"../a", b"a/..", b"a/../b", b"/..", b"a\0b"] {
            assert!(matches!(components(bad), Err(Problem::Name(_))), "{}", bad.escape_ascii());
        }
    }
}
