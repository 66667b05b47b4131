//! Device rules as systemd has them: all is denied but a list (`DevicePolicy=strict`, `DeviceAllow=`).
//!
//! On v1 this is what holds: systemd writes the files whenever it visits the unit, for example at `daemon-reload`, and
//! allows everything where it was told nothing. So what it cannot say is an error there. On v2 it has a program of its own
//! beside ours and never touches ours, so that it may be told nothing.

use super::manager::Properties;
use super::wire::Value;
use crate::limits::{DeviceKind, DeviceRule};
use crate::{Error, HierarchyVersion, Result, v1};

/// Adds what the rules are to systemd; nothing when there are none.
pub(super) fn policy(
    rules: &[DeviceRule],
    version: HierarchyVersion,
    properties: &mut Properties,
) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let policy = match said(rules) {
        Err(rule) if version == HierarchyVersion::V1 => return Err(Error::SystemdDevices { rule }),
        // A list that an earlier change set would go on denying.
        Err(_) | Ok(None) => ("auto", Vec::new()),
        Ok(Some(list)) => ("strict", list),
    };
    properties.push(("DevicePolicy", Value::Text(policy.0.to_owned())));
    // An empty list forgets what was listed before; what follows is added.
    properties.push(("DeviceAllow", Value::Pairs(Vec::new())));
    if !policy.1.is_empty() {
        properties.push(("DeviceAllow", Value::Pairs(policy.1)));
    }
    Ok(())
}

/// The list; none when all is allowed; the rule that has no place in one.
fn said(rules: &[DeviceRule]) -> std::result::Result<Option<Vec<(String, String)>>, String> {
    let allowed = v1::allowed_devices(rules).map_err(|error| match error {
        Error::DeviceException { rule } => rule,
        other => other.to_string(),
    })?;
    let Some(allowed) = allowed else { return Ok(None) };
    let entry =
        |rule: &DeviceRule| Ok((name(rule).ok_or_else(|| format!("allow {rule}"))?, rule.access.to_string()));
    allowed.iter().map(entry).collect::<std::result::Result<_, _>>().map(Some)
}

/// systemd reads the numbers off such names, be there a file or not.
fn name(rule: &DeviceRule) -> Option<String> {
    let kind = match rule.kind {
        DeviceKind::Block => "block",
        DeviceKind::Char => "char",
        DeviceKind::All => return None,
    };
    match (rule.major, rule.minor) {
        (Some(major), Some(minor)) => Some(format!("/dev/{kind}/{major}:{minor}")),
        (Some(major), None) => Some(format!("{kind}-{major}")),
        (None, None) => Some(format!("{kind}-*")),
        (None, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<DeviceRule> {
        let rule = |text: &&str| {
            let (word, text) = text.split_once(' ').unwrap();
            DeviceRule { allow: word == "allow", ..text.parse().unwrap() }
        };
        texts.iter().map(rule).collect()
    }

    fn said_of(texts: &[&str], version: HierarchyVersion) -> Result<(String, Vec<(String, String)>)> {
        let mut properties = Vec::new();
        policy(&rules(texts), version, &mut properties)?;
        let Some((_, Value::Text(word))) = properties.first() else { panic!("{properties:?}") };
        assert_eq!(properties[1], ("DeviceAllow", Value::Pairs(Vec::new())));
        let list = match properties.get(2) {
            Some((_, Value::Pairs(list))) => list.clone(),
            _ => Vec::new(),
        };
        Ok((word.clone(), list))
    }

    #[test]
    fn pure_a_denial_and_a_list() {
        let texts = ["deny a *:* rwm", "allow c 1:3 rwm", "allow b 8:* r", "allow c *:* m"];
        for version in [HierarchyVersion::V1, HierarchyVersion::V2] {
            let (word, mut list) = said_of(&texts, version).unwrap();
            list.sort();
            let pair = |name: &str, access: &str| (name.to_owned(), access.to_owned());
            assert_eq!(word, "strict");
            assert_eq!(list, [pair("/dev/char/1:3", "rwm"), pair("block-8", "r"), pair("char-*", "m")]);
        }
        assert_eq!(said_of(&["allow a *:* rwm"], HierarchyVersion::V1).unwrap(), ("auto".to_owned(), vec![]));
        assert_eq!(
            said_of(&["deny a *:* rwm"], HierarchyVersion::V1).unwrap(),
            ("strict".to_owned(), vec![])
        );
    }

    #[test]
    fn pure_what_systemd_cannot_say_is_refused_where_it_would_undo_it() {
        for texts in [
            &["allow a *:* rwm", "deny b 8:0 rwm"][..],
            &["deny a *:* rwm", "allow c *:3 r"],
            &["deny a *:* rwm", "allow c 1:* rwm", "deny c 1:5 rwm"],
        ] {
            let error = said_of(texts, HierarchyVersion::V1).unwrap_err();
            assert!(matches!(error, Error::SystemdDevices { .. }), "{error}");
            assert_eq!(said_of(texts, HierarchyVersion::V2).unwrap(), ("auto".to_owned(), vec![]));
        }
        let mut nothing = Vec::new();
        policy(&[], HierarchyVersion::V1, &mut nothing).unwrap();
        assert!(nothing.is_empty());
    }
}
