//! Switching controllers on: `cgroup.subtree_control` of every group above, from the top.

use super::{Place, V2Driver};
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::path::CgroupPath;
use rustix::io::Errno;

const CONTROL: &str = "cgroup.subtree_control";

/// Beside v1 the root is not ours to change, so what it does not distribute is not to be had.
pub(super) fn check_root(driver: &V2Driver, controller: &str) -> Result<()> {
    if driver.place() == Place::Alone
        || lists(&Dir::open_existing(driver.root().to_owned())?, CONTROL, controller)?
    {
        return Ok(());
    }
    let file = driver.root().join(CONTROL);
    let hint =
        format!("cgroup v2 has it, but does not distribute it: write +{controller} to {}", file.display());
    Err(Error::MissingController { controller: controller.to_owned(), hint })
}

/// Sees that `required` is on in the group, and `counted` where it can be had. One read when all is well.
pub(super) fn enable(
    driver: &V2Driver,
    path: &CgroupPath,
    dir: &Dir,
    required: &[&str],
    counted: &[&str],
) -> Result<()> {
    if required.is_empty() && counted.is_empty() {
        return Ok(());
    }
    let on = dir.read("cgroup.controllers")?;
    let off = |list: &[&str]| -> Vec<String> {
        let on: Vec<&str> = on.split_whitespace().collect();
        list.iter().filter(|c| !on.contains(c)).map(|c| (*c).to_owned()).collect()
    };
    let (required, mut counted) = (off(required), off(counted));
    counted.retain(|c| !required.contains(c));
    if required.is_empty() && counted.is_empty() {
        return Ok(());
    }
    let top = (driver.place() == Place::Alone).then(|| driver.root().to_owned());
    let above = top.into_iter().chain(path.ancestors().map(|a| driver.root().join(a)));
    for group in above {
        let group = Dir::open_existing(group)?;
        // One write for all of them; each alone when that fails, to know which.
        let all: String = required.iter().chain(&counted).map(|c| format!("+{c} ")).collect();
        if group.try_write(CONTROL, all.trim_end()).is_ok() {
            continue;
        }
        for controller in &counted {
            // Without it there is one number less to show, which `stats` says.
            let _ = group.try_write(CONTROL, &format!("+{controller}"));
        }
        for controller in &required {
            group
                .try_write(CONTROL, &format!("+{controller}"))
                .map_err(|e| refused(&group, controller, e))?;
        }
    }
    Ok(())
}

/// Waits until the group above has done what it was told about a controller: the kernel takes one word at a time, so that a
/// word that changes nothing comes back when the one before it has been followed.
pub(super) fn wait_until_on(dir: &Dir, controller: &str) {
    let above = dir.path().parent().and_then(|above| Dir::open(above.to_owned()).ok().flatten());
    if let Some(above) = above {
        let _ = above.try_write(CONTROL, &format!("+{controller}"));
    }
}

fn lists(dir: &Dir, file: &str, controller: &str) -> Result<bool> {
    Ok(dir.read(file)?.split_whitespace().any(|c| c == controller))
}

fn refused(group: &Dir, controller: &str, errno: Errno) -> Error {
    let hint = match errno {
        Errno::BUSY => "the group holds processes itself: move them into a group below it",
        Errno::NOENT => "the group above does not distribute it: enable it there first",
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            "it is not delegated: run as root, or in a systemd unit with Delegate=yes"
        }
        Errno::OPNOTSUPP => "the group is threaded: choose another parent",
        _ => "see the cause",
    };
    let group = group.path().to_owned();
    Error::Enable { controller: controller.to_owned(), group, hint, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(place: Place) -> (tempfile::TempDir, V2Driver, Dir) {
        let root = tempfile::tempdir().unwrap();
        for group in ["", "a", "a/b"] {
            let folder = root.path().join(group);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(CONTROL), "").unwrap();
            fs::write(
                folder.join("cgroup.controllers"),
                if group.is_empty() { "cpu memory pids" } else { "" },
            )
            .unwrap();
        }
        let driver = V2Driver::new(root.path().to_owned(), place);
        let dir = Dir::open_existing(root.path().join("a/b")).unwrap();
        (root, driver, dir)
    }

    fn control(root: &tempfile::TempDir, group: &str) -> String {
        fs::read_to_string(root.path().join(group).join(CONTROL)).unwrap()
    }

    #[test]
    fn pure_enables_from_the_root_to_the_parent_and_not_in_the_group() {
        let (root, driver, dir) = tree(Place::Alone);
        let path = CgroupPath::new("a/b").unwrap();
        enable(&driver, &path, &dir, &["memory"], &["cpu", "memory"]).unwrap();
        assert_eq!(control(&root, ""), "+memory +cpu");
        assert_eq!(control(&root, "a"), "+memory +cpu");
        assert_eq!(control(&root, "a/b"), "");
    }

    #[test]
    fn pure_leaves_alone_what_is_on_and_the_root_of_a_hybrid_host() {
        let (root, driver, dir) = tree(Place::BesideV1);
        let path = CgroupPath::new("a/b").unwrap();
        fs::write(root.path().join("a/b/cgroup.controllers"), "memory pids\n").unwrap();
        enable(&driver, &path, &dir, &["memory"], &["pids"]).unwrap();
        assert_eq!(control(&root, "a"), "");
        enable(&driver, &path, &dir, &["cpu"], &[]).unwrap();
        assert_eq!((control(&root, ""), control(&root, "a")), (String::new(), "+cpu".to_owned()));

        let error = check_root(&driver, "cpu").unwrap_err().to_string();
        assert!(error.contains("controller cpu") && error.contains("write +cpu to"), "{error}");
        fs::write(root.path().join(CONTROL), "cpu\n").unwrap();
        check_root(&driver, "cpu").unwrap();
    }

    #[test]
    fn pure_a_refusal_names_controller_group_and_remedy() {
        let (root, driver, dir) = tree(Place::Alone);
        fs::remove_file(root.path().join("a").join(CONTROL)).unwrap();
        let path = CgroupPath::new("a/b").unwrap();
        enable(&driver, &path, &dir, &[], &["cpu"]).unwrap();
        let error = enable(&driver, &path, &dir, &["cpu"], &[]).unwrap_err();
        assert!(error.to_string().contains("cpu below") && error.to_string().contains("/a: "), "{error}");
        let busy = refused(&dir, "io", Errno::BUSY).to_string();
        assert!(busy.contains("holds processes"), "{busy}");
        assert!(refused(&dir, "io", Errno::ACCESS).to_string().contains("Delegate=yes"));
    }
}
