//! Network links and firewall tables of the machine.

use std::fs;
use std::process::{Command, Stdio};

pub(super) fn links() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/class/net") else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The tables that `nft` knows; none where it is not installed, for then nobody here has made one.
pub(super) fn tables() -> Vec<String> {
    let listed = Command::new("nft").args(["-j", "list", "tables"]).stdin(Stdio::null()).output();
    let Ok(output) = listed else { return Vec::new() };
    parse(&output.stdout)
}

fn parse(json: &[u8]) -> Vec<String> {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(json) else { return Vec::new() };
    let entries = value["nftables"].as_array().cloned().unwrap_or_default();
    let tables = entries.iter().filter_map(|entry| entry.get("table"));
    tables
        .map(|table| {
            let field = |name: &str| table[name].as_str().unwrap_or("?").to_owned();
            format!("{} {}", field("family"), field("name"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_and_the_rest_is_passed_over() {
        let json = br#"{"nftables":[{"metainfo":{"version":"1"}},{"table":{"family":"inet","name":"tinyd","handle":3}}]}"#;
        assert_eq!(parse(json), ["inet tinyd"]);
        assert!(parse(b"no json").is_empty());
    }

    #[test]
    fn the_loopback_is_a_link() {
        assert!(links().contains(&"lo".to_owned()));
    }
}
