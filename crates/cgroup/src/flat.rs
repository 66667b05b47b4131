//! "Flat keyed" files: a key and a number per line (Documentation/admin-guide/cgroup-v2.rst).

/// The numbers of the wanted keys, in their order; `None` for a key that is not there.
pub(crate) fn values<const N: usize>(text: &str, keys: [&str; N]) -> [Option<u64>; N] {
    let mut found = [None; N];
    for line in text.lines() {
        let Some((key, value)) = line.split_once(' ') else { continue };
        if let Some(at) = keys.iter().position(|k| *k == key) {
            found[at] = value.trim().parse().ok();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_finds_whole_keys_only() {
        let text = "oom 3\noom_kill 2\nbad x\n\nlone\n";
        assert_eq!(values(text, ["oom_kill", "oom", "bad", "kill"]), [Some(2), Some(3), None, None]);
    }
}
