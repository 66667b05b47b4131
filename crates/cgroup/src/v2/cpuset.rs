//! `cpuset`: which CPUs and memory nodes. An empty one means those of the group above.

use crate::dir::Dir;
use crate::error::Result;
use crate::limits::{CpuLimits, cpuset_hint};

const CPUS: &str = "cpuset.cpus";
const MEMS: &str = "cpuset.mems";

pub(super) fn write(dir: &Dir, cpu: &CpuLimits) -> Result<()> {
    for (name, list) in [(CPUS, &cpu.cpus), (MEMS, &cpu.mems)] {
        if let Some(list) = list {
            dir.write_explained(name, list, cpuset_hint)?;
        }
    }
    Ok(())
}

pub(super) fn read(dir: &Dir, cpu: &mut CpuLimits) -> Result<()> {
    let list = |name| {
        let text = dir.read_if_there(name)?;
        Ok(text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()))
    };
    cpu.cpus = list(CPUS)?;
    cpu.mems = list(MEMS)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;

    #[test]
    fn pure_empty_is_not_a_limit() {
        let (_folder, dir) = fake(&[(CPUS, ""), (MEMS, "\n")]);
        let mut cpu = CpuLimits::default();
        read(&dir, &mut cpu).unwrap();
        assert_eq!(cpu, CpuLimits::default());
        write(&dir, &CpuLimits { cpus: Some("0-1".into()), ..Default::default() }).unwrap();
        read(&dir, &mut cpu).unwrap();
        assert_eq!((cpu.cpus.as_deref(), cpu.mems), (Some("0-1"), None));
    }
}
