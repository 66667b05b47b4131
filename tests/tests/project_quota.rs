//! Sizes that the file system itself holds folders to: project quotas of ext4 and XFS. Only in the virtual machine: the kernels of
//! developers' machines have none.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};
use tinyd_tests::{Env, kill, roots, wait_until};

/// The file systems, with the words by which they are made.
const KINDS: [(&str, &[&str]); 2] = [
    ("ext4", &["mkfs.ext4", "-q", "-F", "-O", "quota,project", "-E", "quotatype=prjquota"]),
    ("xfs", &["mkfs.xfs", "-q", "-f"]),
];
const DISK: u64 = 512 << 20;

/// The engine's root on a file system of its own, mounted with `prjquota`, for as long as the value lives.
struct Disk {
    env: Env,
    image: PathBuf,
}

impl Disk {
    fn new((kind, make): (&str, &[&str])) -> Self {
        let env = Env::new();
        let root = env.root();
        let file = root.with_file_name("disk");
        File::create(&file).unwrap().set_len(DISK).unwrap();
        env.other(make.iter().copied().chain([file.to_str().unwrap()])).output().ok();
        let words =
            ["mount", "-t", kind, "-o", "loop,prjquota", file.to_str().unwrap(), root.to_str().unwrap()];
        env.other(words).output().ok();
        // The engine takes a root that has containers for one that has the others too.
        Self { env, image: roots::busybox() }
    }

    fn image(&self) -> &str {
        self.image.to_str().unwrap()
    }

    /// The projects that have a limit, or hold something: what nobody has any more must not be in the kernel's list.
    fn await_projects(&self, wanted: usize) {
        // XFS forgets what was removed a little later.
        wait_until("the projects are those that are wanted", || self.projects() == wanted);
    }

    fn projects(&self) -> usize {
        let root = self.env.root();
        let report = self.env.other(["repquota", "-P", "-n", root.to_str().unwrap()]).output().ok().stdout();
        // `#123 -- used soft hard …`; project 0 is everybody's.
        report.lines().filter(|line| line.starts_with('#') && !line.starts_with("#0 ")).count()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A test that fails leaves processes there; they are found by the check at its end.
        let _ = unmount(self.env.root(), UnmountFlags::DETACH);
    }
}

/// Size in KiB by df, and how much was written before there was no room.
fn filled(text: &str) -> (u64, u64) {
    let numbers: Vec<u64> = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
    let [shown, written] = numbers[..] else { panic!("{text}") };
    (shown, written)
}

/// By statfs(2): df of busybox takes the first mount of the same device for the folder's own.
fn fill(folder: &str) -> String {
    format!(
        "echo $(($(stat -f -c '%b*%S' {folder}) / 1024)); dd if=/dev/zero of={folder}/big bs=64k 2>/dev/null; stat -c %s {folder}/big"
    )
}

fn assert_held((shown, written): (u64, u64), size: u64, kind: &str) {
    assert_eq!(shown, size >> 10, "{kind}: statfs tells the limit");
    assert!((size * 9 / 10..=size).contains(&written), "{kind}: {written} of {size} bytes");
}

/// W23.
#[test]
#[ignore = "needs a kernel with project quotas: cargo xtask vm-test project_quota"]
fn what_a_container_writes_is_held_to_a_size_without_a_file() {
    for kind in KINDS {
        let (disk, size) = (Disk::new(kind), 48 << 20);
        let (env, image, kind) = (&disk.env, disk.image(), kind.0);
        let script = format!("{}; sleep 1000", fill("/"));
        env.tinyd([
            "run",
            "-d",
            "--net",
            "none",
            "--name",
            "c",
            "--storage-size",
            "48m",
            image,
            "sh",
            "-c",
            &script,
        ])
        .ok();
        let seen = || env.tinyd(["logs", "c"]).ok().stdout();
        wait_until("it is full", || seen().lines().count() == 2);
        assert_held(filled(&seen()), size, kind);
        let folder = env.root().join("containers").join(env.ids().first().unwrap());
        assert!(folder.join("storage/upper/big").exists() && !folder.join("storage.ext4").exists());
        disk.await_projects(1);
        // Root inside cannot leave what it is held to, nor take it away.
        let chattr = ["exec", "c", "chattr", "-p", "0", "/big"];
        assert_ne!(env.tinyd(chattr).code(), Some(0), "{kind}");
        let more = ["exec", "c", "sh", "-c", "dd if=/dev/zero of=/more bs=64k count=64"];
        let said = env.tinyd(more).stderr();
        // ext4 calls the end of a project's room so.
        let full = if kind == "ext4" { "quota exceeded" } else { "No space left" };
        assert!(said.contains(full), "{kind}: {said}");
        // What was written is there at the next start; `diff` and `cp` see it.
        env.tinyd(["stop", "-t", "0", "c"]).ok();
        assert!(env.tinyd(["diff", "c"]).ok().stdout().contains("A /big"), "{kind}");
        env.tinyd(["rm", "-f", "c"]).ok();
        disk.await_projects(0);
        // With --rm, by the monitor; and by the next command where the monitor was killed.
        env.tinyd(["run", "--rm", "--net", "none", "--storage-size", "48m", image, "true"]).ok();
        wait_until("its folder is gone", || env.containers().is_empty());
        disk.await_projects(0);
        env.tinyd([
            "run",
            "-d",
            "--rm",
            "--net",
            "none",
            "--name",
            "k",
            "--storage-size",
            "48m",
            image,
            "sleep",
            "1000",
        ])
        .ok();
        kill::kill(kill::monitor_of(env, "k"));
        env.tinyd(["rm", "-f", "k"]).ok();
        disk.await_projects(0);
        // Root of the host's user namespace could leave it: it gets a file.
        let host = [
            "run",
            "--rm",
            "--net",
            "none",
            "--userns",
            "host",
            "--storage-size",
            "48m",
            image,
            "sh",
            "-c",
            &fill("/"),
        ];
        let (shown, written) = filled(&env.tinyd(host).stdout());
        assert!(shown < 48 << 10 && written < size, "{kind}: {shown} {written}");
        env.assert_checked();
    }
}

/// I21.
#[test]
#[ignore = "needs a kernel with project quotas: cargo xtask vm-test project_quota"]
fn a_volume_is_held_to_a_size_without_a_file() {
    for kind in KINDS {
        let (disk, size) = (Disk::new(kind), 32 << 20);
        let (env, image, kind) = (&disk.env, disk.image(), kind.0);
        env.tinyd(["volume", "create", "--size", "32m", "data"]).ok();
        let folder = env.root().join("volumes/local/data");
        assert!(folder.is_dir() && !env.root().join("volumes/local/_disks").exists(), "{kind}");
        let run = ["run", "--rm", "--net", "none", "-v", "data:/data", image, "sh", "-c", &fill("/data")];
        assert_held(filled(&env.tinyd(run).stdout()), size, kind);
        let inspected = env.tinyd(["volume", "inspect", "data"]).ok().json();
        assert_eq!(inspected[0]["Options"]["size"], size.to_string(), "{kind}: {inspected}");
        // Another one, of the same disk, has its own.
        env.tinyd(["volume", "create", "--size", "16m", "other"]).ok();
        disk.await_projects(2);
        // Room comes back, and a copy of it is held to its size, too.
        assert_ne!(env.tinyd(["volume", "clone", "data", "other"]).code(), Some(0));
        fs::remove_file(folder.join("big")).unwrap();
        env.tinyd(["volume", "clone", "data", "twin"]).ok();
        disk.await_projects(3);
        // What the engine writes is held as well: an image's files, and those of an archive.
        let large = env.root().with_file_name(format!("large-{kind}"));
        fs::create_dir_all(large.join("srv")).unwrap();
        fs::write(large.join("srv/file"), vec![1; 20 << 20]).unwrap();
        let fill = ["create", "--net", "none", "-v", "other:/srv", large.to_str().unwrap(), "true"];
        assert_ne!(env.tinyd(fill).code(), Some(0), "{kind}");
        assert_eq!(fs::read_dir(env.root().join("volumes/local/other")).unwrap().count(), 0, "{kind}");
        for name in ["data", "other", "twin"] {
            env.tinyd(["volume", "rm", name]).ok();
        }
        disk.await_projects(0);
        assert!(!Path::new(&folder).exists());
        env.assert_checked();
    }
}
