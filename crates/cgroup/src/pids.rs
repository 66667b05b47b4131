//! `pids`: how many processes and threads (Documentation/admin-guide/cgroup-v1/pids.rst); the same files on both versions.

use crate::dir::Dir;
use crate::error::Result;
use crate::stats::PidsStats;

const MAX: &str = "pids.max";

pub(crate) fn write(dir: &Dir, max: Option<i64>) -> Result<()> {
    match max {
        None => Ok(()),
        Some(-1) => dir.write(MAX, "max"),
        Some(max) => dir.write(MAX, &max.to_string()),
    }
}

pub(crate) fn read(dir: &Dir) -> Result<Option<i64>> {
    let max = dir.number_or_max(MAX)?;
    Ok(max.map(|max| max.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX))))
}

pub(crate) fn stats(dir: &Dir) -> Result<PidsStats> {
    Ok(PidsStats { current: dir.number("pids.current")?, limit: dir.number_or_max(MAX)?.flatten() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;

    #[test]
    fn pure_max_is_minus_one() {
        let (folder, dir) = fake(&[(MAX, ""), ("pids.current", "3\n")]);
        write(&dir, None).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(MAX)).unwrap(), "");
        write(&dir, Some(-1)).unwrap();
        assert_eq!(read(&dir).unwrap(), Some(-1));
        assert_eq!(stats(&dir).unwrap(), PidsStats { current: Some(3), limit: None });
        write(&dir, Some(100)).unwrap();
        assert_eq!(read(&dir).unwrap(), Some(100));
        assert_eq!(stats(&dir).unwrap().limit, Some(100));
    }
}
