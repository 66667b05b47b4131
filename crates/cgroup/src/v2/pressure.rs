//! `cpu.pressure`, `memory.pressure`, `io.pressure`: of every group of the hierarchy, with controllers or without.

use crate::dir::Dir;
use crate::error::Result;
use crate::stats::{Pressure, PressureStats, Stall};
use rustix::io::Errno;

pub(super) fn stats(dir: &Dir) -> Result<PressureStats> {
    Ok(PressureStats {
        cpu: one(dir, "cpu.pressure")?,
        memory: one(dir, "memory.pressure")?,
        io: one(dir, "io.pressure")?,
    })
}

/// `None` without CONFIG_PSI, with psi=0 on the kernel's command line, or with `cgroup.pressure` switched off.
fn one(dir: &Dir, name: &str) -> Result<Option<Pressure>> {
    match dir.read_if_there(name) {
        Ok(text) => Ok(text.and_then(|text| parse(&text))),
        Err(crate::Error::Read { source, .. })
            if source.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

fn parse(text: &str) -> Option<Pressure> {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let (kind, numbers) = line.split_once(' ')?;
        let stall = match kind {
            "some" => &mut pressure.some,
            // Missing in cpu.pressure before Linux 5.13.
            "full" => &mut pressure.full,
            _ => continue,
        };
        *stall = parse_stall(numbers)?;
    }
    Some(pressure)
}

fn parse_stall(numbers: &str) -> Option<Stall> {
    let mut stall = Stall::default();
    for (key, value) in numbers.split(' ').filter_map(|word| word.split_once('=')) {
        match key {
            "avg10" => stall.avg10 = hundredths(value)?,
            "avg60" => stall.avg60 = hundredths(value)?,
            "avg300" => stall.avg300 = hundredths(value)?,
            "total" => stall.total_us = value.parse().ok()?,
            _ => {}
        }
    }
    Some(stall)
}

/// The kernel writes always two digits behind the point.
fn hundredths(percent: &str) -> Option<u32> {
    let (whole, part) = percent.split_once('.')?;
    let (whole, part): (u32, u32) = (whole.parse().ok()?, part.parse().ok()?);
    whole.checked_mul(100)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;

    #[test]
    fn pure_averages_are_exact() {
        let text = "some avg10=12.34 avg60=0.05 avg300=100.00 total=99\nfull avg10=0.00 avg60=0.00 avg300=1.10 total=7\n";
        let (_folder, dir) = fake(&[("cpu.pressure", text), ("io.pressure", "some avg10=x\n")]);
        let found = stats(&dir).unwrap();
        let some = Stall { avg10: 1234, avg60: 5, avg300: 10_000, total_us: 99 };
        let full = Stall { avg300: 110, total_us: 7, ..Default::default() };
        assert_eq!(found.cpu, Some(Pressure { some, full }));
        assert_eq!((found.memory, found.io), (None, None), "absent, and not understood");
    }
}
