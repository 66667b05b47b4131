//! `--secret NAME[,target=…][,uid=…][,gid=…][,mode=…]`.

use std::path::PathBuf;
use tinyd_engine::SecretMount;

pub(super) fn parse(text: &str) -> Result<SecretMount, String> {
    let mut words = text.split(',');
    let mut secret = SecretMount::named(words.next().unwrap_or_default());
    if secret.name.is_empty() || secret.name.contains('=') {
        return Err(wrong("the secret's name comes first"));
    }
    for word in words {
        let (option, value) = word.split_once('=').ok_or_else(|| wrong(&format!("'{word}' has no value")))?;
        let number = || value.parse().map_err(|_| wrong(&format!("'{word}' is no number")));
        match option {
            "target" if !value.is_empty() => secret.target = Some(PathBuf::from(value)),
            "uid" => secret.uid = Some(number()?),
            "gid" => secret.gid = Some(number()?),
            "mode" => {
                let mode = u32::from_str_radix(value, 8);
                secret.mode = Some(mode.map_err(|_| wrong(&format!("'{word}' is no octal number")))?);
            }
            "type" if value == "mount" => {}
            "type" if value == "env" => {
                return Err(format!(
                    "'type=env' would show it in inspect and in the environment of every process: read the file \
                     /run/secrets/{} instead",
                    secret.name
                ));
            }
            _ => return Err(wrong(&format!("'{word}' is not known"))),
        }
    }
    Ok(secret)
}

fn wrong(what: &str) -> String {
    format!("{what}; write it like db or db,target=/etc/app/password,uid=1000,gid=1000,mode=0440")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_arrives() {
        assert_eq!(parse("db"), Ok(SecretMount::named("db")));
        assert_eq!(
            parse("db,type=mount,target=/etc/key,uid=1,gid=2,mode=0440"),
            Ok(SecretMount {
                name: "db".into(),
                target: Some("/etc/key".into()),
                uid: Some(1),
                gid: Some(2),
                mode: Some(0o440),
            })
        );
    }

    #[test]
    fn everything_else_is_refused_with_an_example_or_a_reason() {
        for text in [
            "",
            "=",
            "target=x",
            "db,",
            "db,uid=x",
            "db,gid=-1",
            "db,mode=9",
            "db,target=",
            "db,type=x",
            "db,ro",
        ] {
            let message = parse(text).expect_err(text);
            assert!(message.contains("write it like "), "{text}: {message}");
        }
        assert!(parse("db,type=env").expect_err("a reason").contains("/run/secrets/db"));
    }
}
