//! Whether a group that somebody else has made can be taken.

use crate::error::{Error, Result};
use crate::{Cgroup, Limits};

/// Sees that `there`, what the driver has found, is nobody's, and that the limits can be written to it.
pub(crate) fn check(there: Result<Box<dyn Cgroup>>, limits: &Limits) -> Result<()> {
    let group = match there {
        Ok(group) => group,
        Err(error) if error.is_not_found() => return limits.check_new(),
        Err(error) => return Err(error),
    };
    limits.check()?;
    let refused = |reason| Err(Error::NotFree { path: group.path().to_string(), reason });
    if group.is_populated()? {
        return refused("it has processes, or a group below it has: stop them, or take another group");
    }
    // Where nothing can freeze nothing is frozen.
    if matches!(group.is_frozen(), Ok(true)) {
        return refused("it is frozen, and so would be whatever joins it: thaw it first");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{CgroupPath, Error, Host, Limits};
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn pure_what_is_there_on_v2_keeps_its_folder_and_its_limits() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("pod/one");
        fs::create_dir_all(folder.join("below")).unwrap();
        let controllers = ("cgroup.controllers", "cpu memory pids io");
        for (file, text) in [controllers, ("cgroup.subtree_control", "")] {
            fs::write(root.path().join(file), text).unwrap();
            fs::write(root.path().join("pod").join(file), text).unwrap();
        }
        for (file, text) in [
            controllers,
            ("cgroup.procs", ""),
            ("cgroup.events", "populated 0\nfrozen 0\n"),
            ("cpu.max", "50000 100000\n"),
            ("memory.max", "104857600\n"),
            ("pids.max", ""),
        ] {
            fs::write(folder.join(file), text).unwrap();
        }
        let inode = || fs::metadata(&folder).unwrap().ino();
        let text = |file| fs::read_to_string(folder.join(file)).unwrap();
        let line = format!("9 1 0:9 / {} rw - cgroup2 none rw\n", root.path().display());
        let driver = Host::from_mountinfo(&line).unwrap().driver().unwrap();
        let (path, before) = (CgroupPath::new("pod/one").unwrap(), inode());
        let limits = Limits { pids_max: Some(77), ..Limits::default() };

        let group = driver.adopt(&path, &limits).unwrap();
        assert_eq!((group.path(), inode()), (&path, before));
        let held = ["cpu.max", "memory.max", "pids.max"].map(text);
        assert_eq!(held, ["50000 100000\n", "104857600\n", "77"]);
        // Made ahead with a limit of memory, it can be given one of both.
        let both = crate::MemoryLimits { swap_bytes: Some(200 << 20), ..Default::default() };
        fs::write(folder.join("memory.swap.max"), "").unwrap();
        driver.adopt(&path, &Limits { memory: both, ..Limits::default() }).unwrap();
        assert_eq!(text("memory.swap.max"), "104857600");

        for (events, reason) in
            [("populated 1\nfrozen 0\n", "it has processes"), ("populated 0\nfrozen 1\n", "it is frozen")]
        {
            fs::write(folder.join("cgroup.events"), events).unwrap();
            let Err(error) = driver.adopt(&path, &limits) else { panic!("{events} is not free") };
            assert!(matches!(error, Error::NotFree { .. }) && error.to_string().contains(reason), "{error}");
        }
        assert_eq!((inode(), folder.join("below").is_dir()), (before, true));
    }
}
