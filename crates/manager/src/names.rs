//! Names of containers: a link `names/<name>` that holds the id.

use crate::error::{Error, Result};
use crate::ids;
use crate::store::Store;
use rustix::io::Errno;

/// Takes a name for a container. Of two that ask at once, one gets it.
pub(crate) fn take(store: &Store, name: &str, id: &str) -> Result<()> {
    let link = store.name_link(name);
    match rustix::fs::symlink(id, &link) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => {
            let owner = lookup(store, name)?.unwrap_or_default();
            Err(Error::NameTaken { name: name.to_owned(), id: ids::short(&owner).to_owned() })
        }
        Err(errno) => Err(Error::file("take the name", link, errno)),
    }
}

/// Whose name it is. The word must be a valid name: it becomes part of a path.
pub(crate) fn lookup(store: &Store, name: &str) -> Result<Option<String>> {
    store.read_link(&store.name_link(name))
}

/// Frees a container's name, if it is its own. Without a name all are searched for the container's.
pub(crate) fn free(store: &Store, name: Option<&str>, id: &str) -> Result<()> {
    match name {
        Some(name) => store.unlink_owned(&store.name_link(name), id),
        None => store.names()?.into_iter().try_for_each(|(link, owner)| match owner == id {
            true => store.unlink_owned(&link, id),
            false => Ok(()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;

    #[test]
    fn pure_a_name_has_one_owner() {
        let (_place, store) = store();
        let (one, two) = ("1".repeat(32), "2".repeat(32));
        take(&store, "web", &one).unwrap();
        let error = take(&store, "web", &two).unwrap_err();
        assert_eq!(error.to_string(), "the name \"web\" is taken by container 111111111111");
        free(&store, Some("web"), &two).unwrap();
        assert_eq!(lookup(&store, "web").unwrap().as_deref(), Some(one.as_str()));
        free(&store, Some("web"), &one).unwrap();
        free(&store, None, &one).unwrap();
        assert_eq!(lookup(&store, "web").unwrap(), None);
        take(&store, "web", &two).unwrap();
        free(&store, None, &two).unwrap();
        assert_eq!(lookup(&store, "web").unwrap(), None);
    }
}
