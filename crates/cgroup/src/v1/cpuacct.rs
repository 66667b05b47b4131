//! `cpuacct`: CPU time used (Documentation/admin-guide/cgroup-v1/cpuacct.rst).

use crate::dir::Dir;
use crate::error::Result;
use crate::stats::CpuStats;

pub(super) fn stats(dir: &Dir, cpu: &mut CpuStats) -> Result<()> {
    cpu.usage_ns = dir.number("cpuacct.usage")?;
    // In nanoseconds since Linux 4.6; cpuacct.stat counts in ticks of 10 ms.
    cpu.user_ns = dir.number("cpuacct.usage_user")?;
    cpu.system_ns = dir.number("cpuacct.usage_sys")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;

    #[test]
    fn pure_stats_in_nanoseconds() {
        let (_folder, dir) = fake(&[("cpuacct.usage", "300\n"), ("cpuacct.usage_user", "200\n")]);
        let mut cpu = CpuStats::default();
        stats(&dir, &mut cpu).unwrap();
        assert_eq!((cpu.usage_ns, cpu.user_ns, cpu.system_ns), (Some(300), Some(200), None));
    }
}
