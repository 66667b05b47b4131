//! The one mode that all ipvlans of a parent have: the kernel changes that of those that are there when another is made in
//! another one, and their containers would lose what they have. So the driver notes which network has which parent in which
//! mode, one file for each, and refuses a second mode.

use crate::error::kernel;
use crate::link::{ChildKind, IpvlanMode};
use crate::plan::invalid;
use crate::{NetworkSpec, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(super) struct Modes {
    /// One folder for each parent, called as it is.
    folder: PathBuf,
}

impl Modes {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.join("ipvlan") }
    }

    /// Refuses a mode that is not that of another network of the parent.
    pub(super) fn check(&self, network: &NetworkSpec, parent: &str, kind: ChildKind) -> Result<()> {
        let ChildKind::Ipvlan(mode) = kind else { return Ok(()) };
        let entries = match fs::read_dir(self.folder.join(parent)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(kernel(&network.name, "read the modes of", parent)(error)),
        };
        for entry in entries.flatten() {
            // One that is being removed is none any more.
            let other = fs::read_to_string(entry.path()).unwrap_or_default();
            let name = entry.file_name();
            if name != network.name.as_str() && !other.is_empty() && other != word(mode) {
                let problem = format!(
                    "is not that of the network {} on the same parent, {other}: all ipvlans of a parent have one mode",
                    name.to_string_lossy()
                );
                return Err(invalid(network, format!("the mode {:?}", word(mode)), problem));
            }
        }
        Ok(())
    }

    /// Notes that a network has this mode; it is checked first.
    pub(super) fn note(&self, network: &NetworkSpec, parent: &str, kind: ChildKind) -> Result<()> {
        self.check(network, parent, kind)?;
        let ChildKind::Ipvlan(mode) = kind else { return Ok(()) };
        let folder = self.folder.join(parent);
        let written =
            fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(&network.name), word(mode)));
        written.map_err(kernel(&network.name, "note the mode of", parent))
    }

    /// Forgets a network.
    pub(super) fn forget(&self, network: &NetworkSpec, parent: &str) -> Result<()> {
        let folder = self.folder.join(parent);
        let removed = match fs::remove_file(folder.join(&network.name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        // Whatever has something in it is another network's.
        for folder in [&folder, &self.folder] {
            let _ = fs::remove_dir(folder);
        }
        removed.map_err(kernel(&network.name, "forget the mode of", parent))
    }
}

fn word(mode: IpvlanMode) -> &'static str {
    match mode {
        IpvlanMode::L2 => "l2",
        IpvlanMode::L3 => "l3",
        IpvlanMode::L3s => "l3s",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::MacvlanMode;

    #[test]
    fn pure_all_networks_of_a_parent_have_one_mode() {
        let folder = tempfile::tempdir().unwrap();
        let modes = Modes::in_folder(folder.path());
        let [one, two] = ["one", "two"].map(NetworkSpec::named);
        let [l2, l3] = [IpvlanMode::L2, IpvlanMode::L3].map(ChildKind::Ipvlan);
        modes.note(&one, "eth0", l2).unwrap();
        // Again, as each container that comes does.
        modes.note(&one, "eth0", l2).unwrap();
        modes.note(&two, "eth0", l2).unwrap();
        modes.forget(&two, "eth0").unwrap();
        let said = modes.note(&two, "eth0", l3).unwrap_err().to_string();
        assert_eq!(
            said,
            "network \"two\": the mode \"l3\" is not that of the network one on the same parent, l2: all ipvlans of a \
             parent have one mode"
        );
        modes.note(&two, "eth1", l3).unwrap();
        modes.check(&two, "eth0", ChildKind::Macvlan(MacvlanMode::Private)).unwrap();
        modes.forget(&one, "eth0").unwrap();
        modes.note(&two, "eth0", l3).unwrap();
        for parent in ["eth0", "eth1", "eth1"] {
            modes.forget(&two, parent).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was left");
    }
}
