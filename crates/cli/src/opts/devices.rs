//! `--device`, and the limits of disks and of huge pages.

use super::limits;
use std::path::{Path, PathBuf};
use tinyd_engine::{Device, HugepageLimit, IoLimit};

/// `SRC[:DST][:rwm]`.
pub(super) fn device(text: &str) -> Result<Device, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, access) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, target] if target.starts_with('/') => (source, target, "rwm"),
        [source, access] => (source, source, access),
        [source, target, access] => (source, target, access),
        _ => return Err("write it like /dev/fuse or /dev/sda:/dev/xvda:r".to_owned()),
    };
    if ![source, target].iter().all(|path| Path::new(path).is_absolute()) {
        return Err(format!("'{text}' must name absolute paths; write it like /dev/sda:/dev/xvda:r"));
    }
    if access.is_empty() || access.chars().any(|letter| !"rwm".contains(letter)) {
        return Err(format!("'{access}' is not made of r, w and m"));
    }
    Ok(Device { source: source.into(), target: target.into(), access: access.to_owned() })
}

/// A disk and a number: bytes, reads or writes in a second.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    device: PathBuf,
    rate: u64,
}

/// `/dev/sda:10m`.
pub(super) fn bytes(text: &str) -> Result<Rate, String> {
    rate(text, "/dev/sda:10m", |rate| limits::memory(rate).ok())
}

/// `/dev/sda:100`.
pub(super) fn operations(text: &str) -> Result<Rate, String> {
    rate(text, "/dev/sda:100", |rate| rate.parse().ok())
}

fn rate(text: &str, example: &str, number: impl Fn(&str) -> Option<u64>) -> Result<Rate, String> {
    let wrong = || format!("write it like {example}, with 0 for no limit");
    let (device, rate) = text.rsplit_once(':').ok_or_else(wrong)?;
    match number(rate) {
        Some(rate) if Path::new(device).is_absolute() => Ok(Rate { device: device.into(), rate }),
        _ => Err(wrong()),
    }
}

/// `2MB=64m`: a size of pages as the kernel writes it, and how much.
pub(super) fn hugepages(text: &str) -> Result<HugepageLimit, String> {
    let wrong = || "write it like 2MB=64m or 1GB=2g".to_owned();
    let (size, bytes) = text.split_once('=').ok_or_else(wrong)?;
    let unit = size.trim_start_matches(|letter: char| letter.is_ascii_digit());
    if !["KB", "MB", "GB"].contains(&unit) || size.len() == unit.len() {
        return Err(wrong());
    }
    Ok(HugepageLimit { page_size: size.to_owned(), bytes: limits::memory(bytes)? })
}

/// The four lists as one, an entry for each disk; the last of a kind counts.
pub(super) fn io(
    read_bps: Vec<Rate>,
    write_bps: Vec<Rate>,
    read_iops: Vec<Rate>,
    write_iops: Vec<Rate>,
) -> Vec<IoLimit> {
    let mut all: Vec<IoLimit> = Vec::new();
    type Part = fn(&mut IoLimit) -> &mut Option<u64>;
    let parts: [(Vec<Rate>, Part); 4] = [
        (read_bps, |limit| &mut limit.read_bps),
        (write_bps, |limit| &mut limit.write_bps),
        (read_iops, |limit| &mut limit.read_iops),
        (write_iops, |limit| &mut limit.write_iops),
    ];
    for (rates, part) in parts {
        for Rate { device, rate } in rates {
            match all.iter_mut().find(|limit| limit.device == device) {
                Some(limit) => *part(limit) = Some(rate),
                None => {
                    let mut limit = IoLimit { device, ..IoLimit::default() };
                    *part(&mut limit) = Some(rate);
                    all.push(limit);
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_every_form() {
        let made = |source: &str, target: &str, access: &str| {
            Ok(Device { source: source.into(), target: target.into(), access: access.into() })
        };
        assert_eq!(device("/dev/fuse"), made("/dev/fuse", "/dev/fuse", "rwm"));
        assert_eq!(device("/dev/fuse:r"), made("/dev/fuse", "/dev/fuse", "r"));
        assert_eq!(device("/dev/a:/dev/b"), made("/dev/a", "/dev/b", "rwm"));
        assert_eq!(device("/dev/a:/dev/b:rw"), made("/dev/a", "/dev/b", "rw"));
        for text in ["", "fuse", "/dev/a:b", "/dev/a:/dev/b:x", "/dev/a:/dev/b:", "/dev/a:/dev/b:r:w"] {
            assert!(device(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_of_a_disk_come_together() {
        let list = |texts: &[&str]| texts.iter().map(|text| bytes(text).expect(text)).collect::<Vec<_>>();
        let all = io(
            list(&["/dev/a:1m", "/dev/b:2"]),
            list(&["/dev/a:3k"]),
            vec![],
            vec![operations("/dev/b:7").expect("7")],
        );
        let a = IoLimit {
            device: "/dev/a".into(),
            read_bps: Some(1 << 20),
            write_bps: Some(3 << 10),
            ..Default::default()
        };
        let b =
            IoLimit { device: "/dev/b".into(), read_bps: Some(2), write_iops: Some(7), ..Default::default() };
        assert_eq!(all, [a, b]);
        for text in ["", "/dev/a", "/dev/a:", "a:1", "/dev/a:-1"] {
            assert!(bytes(text).is_err() && operations(text).is_err(), "{text}");
        }
        assert!(operations("/dev/a:1m").is_err());
    }

    #[test]
    fn sizes_of_huge_pages() {
        assert_eq!(hugepages("2MB=64m"), Ok(HugepageLimit { page_size: "2MB".into(), bytes: 64 << 20 }));
        for text in ["", "2MB", "2MB=", "MB=1m", "2=1m", "2mb=1m", "../2MB=1m", "2MB=x"] {
            assert!(hugepages(text).is_err(), "{text}");
        }
    }
}
