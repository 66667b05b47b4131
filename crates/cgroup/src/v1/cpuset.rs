//! `cpuset`: which CPUs and memory nodes (cpuset(7)).

use crate::dir::Dir;
use crate::error::Result;
use crate::limits::{CpuLimits, cpuset_hint};
use crate::path::CgroupPath;
use std::path::Path;

const CPUS: &str = "cpuset.cpus";
const MEMS: &str = "cpuset.mems";

/// Copies what is empty down from the group above, from the top: a v1 cpuset starts empty, and an empty one takes
/// neither processes nor children with CPUs.
pub(super) fn seed(root: &Path, path: &CgroupPath) -> Result<()> {
    let top = Dir::open_existing(root.to_owned())?;
    let mut above = [top.read(CPUS)?, top.read(MEMS)?];
    for group in path.ancestors().chain([path.as_str()]) {
        let dir = Dir::open_existing(root.join(group))?;
        for (name, inherited) in [CPUS, MEMS].into_iter().zip(&mut above) {
            let own = dir.read(name)?;
            if own.trim().is_empty() {
                dir.write(name, inherited.trim())?;
            } else {
                *inherited = own;
            }
        }
    }
    Ok(())
}

pub(super) fn write(dir: &Dir, cpu: &CpuLimits) -> Result<()> {
    for (name, list) in [(CPUS, &cpu.cpus), (MEMS, &cpu.mems)] {
        if let Some(list) = list {
            dir.write_explained(name, list, cpuset_hint)?;
        }
    }
    Ok(())
}

pub(super) fn read(dir: &Dir, cpu: &mut CpuLimits) -> Result<()> {
    let list = |name| Ok(dir.read_if_there(name)?.map(|text| text.trim().to_owned()));
    cpu.cpus = list(CPUS)?;
    cpu.mems = list(MEMS)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn pure_seeds_the_empty_ones_from_above() {
        let root = tempfile::tempdir().unwrap();
        for (group, cpus, mems) in [("", "0-3\n", "0\n"), ("a", "1-2\n", "\n"), ("a/b", "\n", "\n")] {
            let folder = root.path().join(group);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(CPUS), cpus).unwrap();
            fs::write(folder.join(MEMS), mems).unwrap();
        }
        seed(root.path(), &CgroupPath::new("a/b").unwrap()).unwrap();
        let dir = Dir::open_existing(root.path().join("a/b")).unwrap();
        let mut cpu = CpuLimits::default();
        read(&dir, &mut cpu).unwrap();
        assert_eq!((cpu.cpus.as_deref(), cpu.mems.as_deref()), (Some("1-2"), Some("0")));
        assert_eq!(
            fs::read_to_string(root.path().join("a").join(CPUS)).unwrap(),
            "1-2\n",
            "what is set stays"
        );
        assert!(fs::read_to_string(root.path().join("a").join(MEMS)).unwrap().starts_with('0'));

        write(&dir, &CpuLimits { cpus: Some("2".into()), ..Default::default() }).unwrap();
        assert!(fs::read_to_string(root.path().join("a/b").join(CPUS)).unwrap().starts_with('2'));
    }
}
