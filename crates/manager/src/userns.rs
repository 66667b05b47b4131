//! Whether this host can give containers user namespaces of their own.

/// Why not; `None` when it can.
pub(crate) fn missing() -> Option<String> {
    // Whether an overlay takes layers whose ids are mapped is decided by the kernel's version alone (5.19, "overlayfs: support
    // idmapped layers").
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if version(&release).is_some_and(|found| found < (5, 19)) {
        return Some(format!(
            "kernel {release} cannot map ids below an overlay (5.19 can): containers share the host's user ids"
        ));
    }
    // Absent in kernels without user namespaces; 0 where they are switched off (user_namespaces(7)).
    match std::fs::read_to_string("/proc/sys/user/max_user_namespaces") {
        Ok(text) if text.trim() != "0" => None,
        _ => Some("user namespaces are switched off here: containers share the host's user ids".to_owned()),
    }
}

/// Major and minor number of a release such as `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_releases_are_compared_as_numbers() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert!(version("5.9.1").unwrap() < (5, 19));
        assert!(version("5.19-rc1").unwrap() >= (5, 19));
        assert_eq!(version("strange"), None);
    }
}
