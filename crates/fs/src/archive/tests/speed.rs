use super::*;
use std::time::{Duration, Instant};

/// A few thousand files, as a volume has them.
fn make(root: &Path) {
    for folder in 0..60 {
        let folder = root.join(format!("folder{folder}"));
        fs::create_dir(&folder).unwrap();
        for number in 0..50 {
            let size = [300, 2_000, 9_000, 40_000][number % 4];
            fs::write(folder.join(format!("file{number}")), vec![b'a' + (number % 26) as u8; size]).unwrap();
        }
    }
    fs::write(root.join("large"), vec![7; 30 << 20]).unwrap();
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// In release: `cargo test -p tinyd-fs --release --features archive -- --ignored --nocapture speed`.
#[test]
#[ignore = "a measurement: prints how it compares to GNU tar, and is for a quiet machine"]
fn root_speed_compared_to_gnu_tar() {
    let (folder, from, to) = two();
    make(&from);
    let archive = folder.path().join("archive");
    let (from_text, archive_text) = (from.to_str().unwrap(), archive.to_str().unwrap());
    let (mut ours, mut theirs, mut ours_in, mut theirs_in) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..21 {
        let start = Instant::now();
        let file = File::create(&archive).unwrap();
        pack(File::open(&from).unwrap().as_fd(), &[], &file, &Pack::default()).unwrap();
        ours.push(start.elapsed());
        crate::remove_tree(&to).unwrap();
        fs::create_dir(&to).unwrap();
        let start = Instant::now();
        let file = File::open(&archive).unwrap();
        unpack(file, File::open(&to).unwrap().as_fd(), &faithful()).unwrap();
        ours_in.push(start.elapsed());
        let start = Instant::now();
        tar(&["--format=posix", "--xattrs", "--sparse", "-cf", archive_text, "-C", from_text, "."]);
        theirs.push(start.elapsed());
        crate::remove_tree(&to).unwrap();
        fs::create_dir(&to).unwrap();
        let start = Instant::now();
        tar(&["--xattrs", "-xpf", archive_text, "-C", to.to_str().unwrap()]);
        theirs_in.push(start.elapsed());
    }
    for (what, ours, theirs) in [("pack", ours, theirs), ("unpack", ours_in, theirs_in)] {
        let (ours, theirs) = (middle(ours), middle(theirs));
        let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
        println!("{what}: {ours:?}, GNU tar {theirs:?}: {ratio:.2} times its speed");
    }
    for compression in [Compression::Gzip, Compression::Zstd] {
        let start = Instant::now();
        let (bytes, _) = packed(&from, &Pack { compression, ..Pack::default() });
        println!("{compression:?}: {} bytes in {:?}", bytes.len(), start.elapsed());
    }
}
