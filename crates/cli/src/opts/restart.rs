//! `--restart`: when a container is started again after its end.

use tinyd_engine::RestartPolicy;

/// `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:3`.
pub(crate) fn parse(text: &str) -> Result<RestartPolicy, String> {
    let (name, retries) = match text.split_once(':') {
        Some((name, retries)) => (name, Some(retries)),
        None => (text, None),
    };
    let policy = match name {
        "no" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        "on-failure" => {
            let max_retries = retries.map_or(Ok(0), str::parse);
            let max_retries =
                max_retries.map_err(|_| format!("{} is no number of starts", retries.unwrap_or_default()))?;
            return Ok(RestartPolicy::OnFailure { max_retries });
        }
        _ => return Err("it is one of no, always, unless-stopped, on-failure and on-failure:N".to_owned()),
    };
    match retries {
        None => Ok(policy),
        Some(_) => Err(format!("{name} has no number of starts; only on-failure has one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_has_its_word() {
        for (text, policy) in [
            ("no", RestartPolicy::No),
            ("always", RestartPolicy::Always),
            ("unless-stopped", RestartPolicy::UnlessStopped),
            ("on-failure", RestartPolicy::OnFailure { max_retries: 0 }),
            ("on-failure:3", RestartPolicy::OnFailure { max_retries: 3 }),
        ] {
            assert_eq!(parse(text), Ok(policy));
            assert_eq!(policy.to_string(), text);
        }
        for wrong in ["", "never", "always:3", "no:1", "on-failure:", "on-failure:-1", "on-failure:x"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
