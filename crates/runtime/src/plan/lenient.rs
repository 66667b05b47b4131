//! What the specification takes and the types of our reader do not: told in their words, or left out with a warning.

use oci_spec::runtime::Capability;
use serde_json::Value;

/// The specification's words for flags, and the reader's.
const FLAGS: [(&str, &str); 2] = [
    ("SCHED_FLAG_RESET_ON_FORK", "SCHED_RESET_ON_FORK"),
    ("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN"),
];

/// Rewrites a process; gives what was left out of it.
pub(crate) fn rewrite(process: &mut Value) -> Vec<String> {
    let mut warnings = Vec::new();
    for set in ["bounding", "effective", "inheritable", "permitted", "ambient"] {
        let Some(Value::Array(names)) = process.pointer_mut(&format!("/capabilities/{set}")) else {
            continue;
        };
        names.retain(|name| {
            let unknown = name.is_string() && serde_json::from_value::<Capability>(name.clone()).is_err();
            if unknown {
                warnings
                    .push(format!("process.capabilities.{set}: {name} is no capability that is known here"));
            }
            !unknown
        });
    }
    if let Some(Value::Array(flags)) = process.pointer_mut("/scheduler/flags") {
        for flag in flags {
            if let Some((_, ours)) = FLAGS.iter().find(|(theirs, _)| flag == theirs) {
                *flag = Value::from(*ours);
            }
        }
    }
    for part in ["initial", "final"] {
        let Some(list) = process.pointer_mut(&format!("/execCPUAffinity/{part}")) else { continue };
        if let Some(text) = list.as_str() {
            let plain: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            *list = if plain.is_empty() { Value::Null } else { Value::from(plain) };
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pure_unknown_capabilities_are_left_out_with_a_warning() {
        let mut process = json!({
            "cwd": "/", "user": {},
            "capabilities": { "bounding": ["CAP_CHOWN", "CAP_OF_TOMORROW"], "ambient": ["CAP_KILL"] },
            "scheduler": { "policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"] },
            "execCPUAffinity": { "initial": "", "final": " 0-1, 3" },
        });
        let warnings = rewrite(&mut process);
        assert!(matches!(&warnings[..], [one] if one.contains("CAP_OF_TOMORROW")), "{warnings:?}");
        let process: oci_spec::runtime::Process = serde_json::from_value(process).unwrap();
        assert_eq!(process.capabilities().as_ref().unwrap().bounding().as_ref().unwrap().len(), 1);
        assert_eq!(process.scheduler().as_ref().unwrap().flags().as_ref().unwrap().len(), 2);
        let affinity = process.exec_cpu_affinity().as_ref().unwrap();
        assert_eq!((affinity.initial(), affinity.cpu_affinity_final()), (&None, &Some("0-1,3".to_owned())));
    }
}
