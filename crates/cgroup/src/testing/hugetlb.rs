//! Huge pages: as many as the limit says, and not one more.

use super::{Ground, Running, must};
use crate::{Cgroup, HugetlbLimit, Limits};
use std::path::PathBuf;

const PAGE: i64 = 2 << 20;
const FREE: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";

/// A folder that goes with the case.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// I14. The pages are those of files, which need no more than a mount: a process that maps some and touches them would be
/// sent SIGBUS instead.
#[allow(clippy::print_stderr, reason = "a skip must be visible")]
pub(super) fn pages_are_held(ground: &Ground) {
    let one = limits(PAGE);
    if !ground.can(&one) {
        return;
    }
    let free = std::fs::read_to_string(FREE).ok().and_then(|text| text.trim().parse::<u32>().ok());
    if free.is_none_or(|free| free < 4) {
        // To reserve some would change the machine for everybody on it.
        eprintln!("SKIPPED: huge pages: this machine has fewer than four of 2 MB to spare");
        return;
    }
    let folder = Folder(std::env::temp_dir().join(format!("tinyd-huge-{}", ground.root)));
    must(std::fs::create_dir(&folder.0));
    let group = ground.create("a", &one);
    assert_eq!(take_two(&*group, &folder), "first\n", "one page is the limit");
    must(group.apply(&limits(2 * PAGE)));
    assert_eq!(take_two(&*group, &folder), "first\nsecond\n", "two pages are the limit");
    must(group.apply(&limits(0)));
    assert_eq!(take_two(&*group, &folder), "", "no page may be had");
    must(group.apply(&limits(-1)));
    assert_eq!(take_two(&*group, &folder), "first\nsecond\n", "there is no limit");
}

fn limits(limit_bytes: i64) -> Limits {
    let page = HugetlbLimit { page_size: "2MB".into(), limit_bytes };
    Limits { hugetlb: vec![page], ..Default::default() }
}

/// Which of two pages a process of the group gets. They are given back with its mount namespace.
fn take_two(group: &dyn Cgroup, folder: &Folder) -> String {
    let script = r#"
        mount -t hugetlbfs -o pagesize=2M tinyd "$1"
        fallocate -l 2M "$1/a"
        echo first
        fallocate -l 2M "$1/b"
        echo second"#;
    let place = folder.0.display().to_string();
    let words = ["--mount", "--propagation", "private", "sh", "-e", "-c", script, "sh", &place];
    Running::inside(group, "unshare", &words).output()
}
