//! The files of a group: written by kernels of many ages, and here by none.

use std::path::Path;
use std::{fs, process};

use tinyd_cgroup::{Cgroup, CgroupPath, Host};

/// The files that are read, by number: the input says which it means.
const FILES: [&str; 48] = [
    "cgroup.procs",
    "cgroup.controllers",
    "cgroup.events",
    "cgroup.freeze",
    "cpu.max",
    "cpu.weight",
    "cpu.stat",
    "cpu.pressure",
    "cpuset.cpus",
    "cpuset.mems",
    "memory.max",
    "memory.low",
    "memory.swap.max",
    "memory.swap.current",
    "memory.current",
    "memory.peak",
    "memory.stat",
    "memory.events",
    "memory.pressure",
    "io.max",
    "io.stat",
    "io.pressure",
    "pids.max",
    "pids.current",
    "hugetlb.2MB.max",
    "hugetlb.2MB.limit_in_bytes",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.shares",
    "cpuacct.usage",
    "cpuacct.usage_user",
    "cpuacct.usage_sys",
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.usage_in_bytes",
    "memory.max_usage_in_bytes",
    "memory.oom_control",
    "devices.list",
    "freezer.state",
    "blkio.throttle.read_bps_device",
    "blkio.throttle.write_iops_device",
    "blkio.throttle.io_service_bytes",
    "blkio.throttle.io_serviced",
    "blkio.bfq.io_service_bytes",
    "blkio.bfq.weight",
    "net_cls.classid",
    "net_prio.ifpriomap",
];

/// What the name of a file in the input begins with: `@12` is the twelfth, `@name` one by its name.
const MARK: char = '@';

/// Makes a group of the files that the input describes, for each version, and reads it.
///
/// The input is text: a line that begins with `@` names a file, what follows is its content.
pub fn cgroup_files(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // A folder for each thread: targets may run side by side in one process.
    let thread = format!("{:?}", std::thread::current().id());
    let number: String = thread.chars().filter(char::is_ascii_digit).collect();
    let place = Path::new("/dev/shm").join(format!("tinyd-fuzz-{}-{number}", process::id()));
    let group = place.join("g");
    fs::create_dir_all(&group).expect("a folder on tmpfs");
    fill(&group, &text);
    let point = place.display();
    for line in [
        format!("9 1 0:9 / {point} rw - cgroup2 none rw\n"),
        format!(
            "9 1 0:9 / {point} rw - cgroup none rw,cpu,cpuacct,cpuset,memory,pids,freezer,devices,blkio,hugetlb,net_prio\n"
        ),
    ] {
        let host = Host::from_mountinfo(&line).expect("a table with one hierarchy");
        let driver = host.driver().expect("a driver for it");
        if let Ok(group) = driver.open(&CgroupPath::new("g").expect("a path")) {
            read(&*group);
        }
    }
    fs::remove_dir_all(&place).expect("the folder is there");
}

fn fill(group: &Path, text: &str) {
    let mut name = FILES[0];
    let mut content = String::new();
    for line in text.lines() {
        let Some(named) = line.strip_prefix(MARK) else {
            content.push_str(line);
            content.push('\n');
            continue;
        };
        write(group, name, &content);
        content.clear();
        let by_number = named.parse().ok().and_then(|number: usize| FILES.get(number % FILES.len()));
        name = by_number.or_else(|| FILES.iter().find(|file| **file == named)).unwrap_or(&FILES[0]);
    }
    write(group, name, &content);
}

fn write(group: &Path, name: &str, content: &str) {
    if !content.is_empty() {
        fs::write(group.join(name), content).expect("a file on tmpfs");
    }
}

fn read(group: &dyn Cgroup) {
    if let Ok(limits) = group.limits() {
        assert_eq!(limits, group.limits().expect("the same answer again"));
    }
    if let Ok(processes) = group.processes() {
        assert!(processes.is_sorted(), "each once, in order");
    }
    if let Ok(stats) = group.stats() {
        let (used, working) = (stats.memory.usage_bytes, stats.memory.working_set_bytes);
        assert!(working.is_none() || working <= used, "{working:?} of {used:?} bytes are worked with");
    }
}
