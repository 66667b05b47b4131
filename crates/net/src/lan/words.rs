//! The options of a network that a link of the host leads to.

use crate::link::{ChildKind, IpvlanMode, MacvlanMode};
use crate::plan::invalid;
use crate::{NetworkSpec, Result};

/// The name of the parent.
pub(super) const PARENT: &str = "parent";
/// How the links of one parent meet.
const MODE: &str = "mode";

const MACVLAN: [(&str, MacvlanMode); 4] = [
    ("bridge", MacvlanMode::Bridge),
    ("private", MacvlanMode::Private),
    ("vepa", MacvlanMode::Vepa),
    ("passthru", MacvlanMode::Passthru),
];

const IPVLAN: [(&str, IpvlanMode); 3] =
    [("l2", IpvlanMode::L2), ("l3", IpvlanMode::L3), ("l3s", IpvlanMode::L3s)];

/// The name of the parent; empty where there is none.
pub(super) fn parent(spec: &NetworkSpec) -> &str {
    spec.options.get(PARENT).map_or("", String::as_str)
}

/// The kind of link that the options ask for; the default of its driver is `kind`. A word that it does not know is refused.
pub(super) fn kind(spec: &NetworkSpec, kind: ChildKind) -> Result<ChildKind> {
    let own = format!("{kind}_{MODE}");
    let known = [PARENT, MODE, &own];
    if let Some(option) = spec.options.keys().find(|option| !known.contains(&option.as_str())) {
        let problem = format!("is none of the driver {kind}, which has {}", known.join(", "));
        return Err(invalid(spec, format!("the option {option:?}"), problem));
    }
    let (short, long) = (spec.options.get(MODE), spec.options.get(&own));
    if let (Some(short), Some(long)) = (short, long)
        && short != long
    {
        let problem = format!("says {short:?}, and {own:?} says {long:?}: choose one");
        return Err(invalid(spec, format!("the option {MODE:?}"), problem));
    }
    let Some(word) = short.or(long) else { return Ok(kind) };
    let refuse = |words: Vec<&str>| {
        Err(invalid(spec, format!("the mode {word:?}"), format!("is none of {}", words.join(", "))))
    };
    match kind {
        ChildKind::Macvlan(_) => match MACVLAN.iter().find(|(known, _)| known == word) {
            Some((_, mode)) => Ok(ChildKind::Macvlan(*mode)),
            None => refuse(MACVLAN.iter().map(|(known, _)| *known).collect()),
        },
        ChildKind::Ipvlan(_) => match IPVLAN.iter().find(|(known, _)| known == word) {
            Some((_, mode)) => Ok(ChildKind::Ipvlan(*mode)),
            None => refuse(IPVLAN.iter().map(|(known, _)| *known).collect()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: [ChildKind; 2] =
        [ChildKind::Macvlan(MacvlanMode::Bridge), ChildKind::Ipvlan(IpvlanMode::L2)];

    fn with(options: &[(&str, &str)]) -> NetworkSpec {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        NetworkSpec { options, ..NetworkSpec::named("lan") }
    }

    #[test]
    fn pure_a_mode_is_asked_for_by_the_short_word_and_by_dockers() {
        let [macvlan, ipvlan] = DEFAULTS;
        assert_eq!(kind(&with(&[]), macvlan).unwrap(), macvlan);
        for (word, mode) in MACVLAN {
            for option in ["mode", "macvlan_mode"] {
                assert_eq!(kind(&with(&[(option, word)]), macvlan).unwrap(), ChildKind::Macvlan(mode));
            }
        }
        for (word, mode) in IPVLAN {
            for option in ["mode", "ipvlan_mode"] {
                assert_eq!(kind(&with(&[(option, word)]), ipvlan).unwrap(), ChildKind::Ipvlan(mode));
            }
        }
    }

    #[test]
    fn pure_a_word_that_is_not_known_is_refused_with_those_that_are() {
        let [macvlan, ipvlan] = DEFAULTS;
        let said = |options: &[(&str, &str)], default| kind(&with(options), default).unwrap_err().to_string();
        assert_eq!(
            said(&[("mode", "l2")], macvlan),
            "network \"lan\": the mode \"l2\" is none of bridge, private, vepa, passthru"
        );
        assert!(said(&[("mode", "bridge")], ipvlan).ends_with("is none of l2, l3, l3s"));
        assert_eq!(
            said(&[("ipvlan_mode", "l2")], macvlan),
            "network \"lan\": the option \"ipvlan_mode\" is none of the driver macvlan, which has parent, mode, macvlan_mode"
        );
        let twice = said(&[("mode", "l2"), ("ipvlan_mode", "l3")], ipvlan);
        assert!(twice.contains("choose one"), "{twice}");
    }
}
