//! `hugetlb`: huge pages (Documentation/admin-guide/cgroup-v1/hugetlb.rst); the two versions differ in one word.

use crate::dir::Dir;
use crate::driver::HierarchyVersion;
use crate::error::{Error, Result};
use crate::limits::HugetlbLimit;

const NO_SIZE: &str = "choose one of the page sizes in /sys/kernel/mm/hugepages";

/// v1 reads "no limit" as the largest number of whole pages, and pages have up to 16 GiB.
const UNLIMITED: u64 = i64::MAX as u64 - (16 << 30);

fn suffix(version: HierarchyVersion) -> &'static str {
    match version {
        HierarchyVersion::V1 => "limit_in_bytes",
        HierarchyVersion::V2 => "max",
    }
}

fn file(page_size: &str, version: HierarchyVersion) -> String {
    format!("hugetlb.{page_size}.{}", suffix(version))
}

/// Looks for the sizes in a group that has such files: on v1 the root, on v2 none before one is made.
pub(crate) fn probe(dir: &Dir, version: HierarchyVersion, limits: &[HugetlbLimit]) -> Result<()> {
    for limit in limits {
        let file = file(&limit.page_size, version);
        if !dir.has(&file) {
            return Err(Error::MissingFile { controller: "hugetlb", file, hint: NO_SIZE });
        }
    }
    Ok(())
}

pub(crate) fn write(dir: &Dir, version: HierarchyVersion, limits: &[HugetlbLimit]) -> Result<()> {
    for limit in limits {
        let value = match (limit.limit_bytes, version) {
            (-1, HierarchyVersion::V2) => "max".to_owned(),
            (bytes, _) => bytes.to_string(),
        };
        dir.write_known("hugetlb", &file(&limit.page_size, version), &value, NO_SIZE)?;
        // What is reserved counts before it is touched (Linux 5.7).
        let reserved = format!("hugetlb.{}.rsvd.{}", limit.page_size, suffix(version));
        if dir.has(&reserved) {
            dir.write(&reserved, &value)?;
        }
    }
    Ok(())
}

/// All sizes that the group has files for, sorted.
pub(crate) fn read(dir: &Dir, version: HierarchyVersion) -> Result<Vec<HugetlbLimit>> {
    let mut found = Vec::new();
    for name in dir.files()? {
        let size = name.strip_prefix("hugetlb.").and_then(|rest| rest.split_once('.'));
        // Not the limits on reservations, `hugetlb.2MB.rsvd.max`.
        let Some((page_size, _)) = size.filter(|(_, rest)| *rest == suffix(version)) else { continue };
        if let Some(max) = dir.number_or_max(&name)? {
            let max = max.filter(|max| *max < UNLIMITED).and_then(|max| i64::try_from(max).ok());
            found.push(HugetlbLimit { page_size: page_size.to_owned(), limit_bytes: max.unwrap_or(-1) });
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;

    fn limit(page_size: &str, limit_bytes: i64) -> HugetlbLimit {
        HugetlbLimit { page_size: page_size.to_owned(), limit_bytes }
    }

    #[test]
    fn pure_each_version_in_its_own_words() {
        let files =
            ["hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max", "hugetlb.1GB.max", "hugetlb.2MB.rsvd.max"];
        let (folder, dir) = fake(&files.map(|f| (f, "max\n")));
        let text = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        write(&dir, HierarchyVersion::V1, &[limit("2MB", 4 << 20)]).unwrap();
        assert_eq!(files.map(text), ["4194304", "max\n", "max\n", "max\n"]);
        write(&dir, HierarchyVersion::V2, &[limit("2MB", -1)]).unwrap();
        std::fs::write(folder.path().join("hugetlb.1GB.max"), "1073741824\n").unwrap();
        assert_eq!(read(&dir, HierarchyVersion::V2).unwrap(), [limit("1GB", 1 << 30), limit("2MB", -1)]);
        assert_eq!(read(&dir, HierarchyVersion::V1).unwrap(), [limit("2MB", 4 << 20)]);
        std::fs::write(folder.path().join("hugetlb.2MB.limit_in_bytes"), "9223372036852678656\n").unwrap();
        assert_eq!(read(&dir, HierarchyVersion::V1).unwrap(), [limit("2MB", -1)]);
    }

    #[test]
    fn pure_what_is_reserved_is_limited_as_well_where_it_can_be() {
        let files = ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max", "hugetlb.1GB.max"];
        let (folder, dir) = fake(&files.map(|file| (file, "")));
        write(&dir, HierarchyVersion::V2, &[limit("2MB", 2 << 20), limit("1GB", 0)]).unwrap();
        let text = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(files.map(text), ["2097152", "2097152", "0"]);
    }

    #[test]
    fn pure_a_size_that_is_not_there_is_named() {
        let (_folder, dir) = fake(&[("cgroup.procs", "")]);
        for version in [HierarchyVersion::V1, HierarchyVersion::V2] {
            let error = write(&dir, version, &[limit("3MB", 0)]).unwrap_err().to_string();
            assert!(error.contains("hugetlb.3MB.") && error.contains("/sys/kernel/mm/hugepages"), "{error}");
            assert_eq!(probe(&dir, version, &[limit("3MB", 0)]).unwrap_err().to_string(), error);
        }
    }
}
