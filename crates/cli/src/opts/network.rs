//! `--network`.

use tinyd_engine::NetworkMode;

/// `none`, `host` or a name; whether there is such a network is the engine's to say.
pub(super) fn parse(text: &str) -> Result<NetworkMode, String> {
    match text {
        "" => Err("it must be none, host, or a network's name".to_owned()),
        "none" => Ok(NetworkMode::None),
        "host" => Ok(NetworkMode::Host),
        name => Ok(NetworkMode::Named(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_names() {
        assert_eq!(parse("none"), Ok(NetworkMode::None));
        assert_eq!(parse("host"), Ok(NetworkMode::Host));
        assert_eq!(parse("n1"), Ok(NetworkMode::Named("n1".to_owned())));
        assert!(parse("").is_err());
    }
}
