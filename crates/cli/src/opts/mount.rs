//! `--mount type=…,source=…,target=…`.

use super::limits::memory;
use super::security::label;
use super::volume::{CONSISTENCY, inside, on_this_machine};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tinyd_engine::{BindMount, ImageMount, Propagation, Recursive, TmpfsMount, VolumeMount};

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mount {
    /// A path of this machine, which must be there.
    Bind(BindMount),
    /// A volume.
    Volume(VolumeMount),
    /// The files of an image.
    Image(ImageMount),
    /// A file system in memory.
    Tmpfs(TmpfsMount),
}

/// The words of all kinds; those that were taken are gone.
struct Words(Vec<(String, Option<String>)>);

impl Words {
    /// The value of a word that may be given by several names; the last one counts.
    fn take(&mut self, names: &[&str]) -> Option<Option<String>> {
        let (given, rest) = self.0.drain(..).partition(|(name, _)| names.contains(&name.as_str()));
        self.0 = rest;
        let given: Vec<(String, Option<String>)> = given;
        given.into_iter().next_back().map(|(_, value)| value)
    }

    /// A word that needs a value.
    fn value(&mut self, names: &[&str]) -> Result<Option<String>, String> {
        match self.take(names) {
            None => Ok(None),
            Some(Some(value)) if !value.is_empty() => Ok(Some(value)),
            Some(_) => Err(wrong(&format!("'{}' has no value", names[0]))),
        }
    }

    /// A word that says yes by itself.
    fn flag(&mut self, names: &[&str]) -> Result<bool, String> {
        match self.take(names) {
            None => Ok(false),
            Some(None) => Ok(true),
            Some(Some(value)) => match value.as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(wrong(&format!("'{}={value}' is neither true nor false", names[0]))),
            },
        }
    }

    /// All values of a word that may be given again.
    fn all(&mut self, name: &str) -> Vec<String> {
        let (given, rest): (Vec<_>, Vec<_>) = self.0.drain(..).partition(|(word, _)| word == name);
        self.0 = rest;
        given.into_iter().map(|(_, value)| value.unwrap_or_default()).collect()
    }

    /// The same, each `NAME=VALUE`.
    fn pairs(&mut self, name: &str) -> Result<BTreeMap<String, String>, String> {
        let pair = |value: String| match value.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(wrong(&format!("'{name}={value}' is no pair"))),
        };
        self.all(name).into_iter().map(pair).collect()
    }

    /// The same, each a label.
    fn labels(&mut self, name: &str) -> Result<BTreeMap<String, String>, String> {
        let pair = |value: String| {
            label(&value).map_err(|_| wrong(&format!("'{name}={value}' is no label, which is NAME=VALUE")))
        };
        self.all(name).into_iter().map(pair).collect()
    }

    /// Nothing else may be there.
    fn end(self, kind: &str) -> Result<(), String> {
        match self.0.first() {
            Some((word, _)) => Err(wrong(&format!("'{word}' is not known for type={kind}"))),
            None => Ok(()),
        }
    }
}

/// Reads words with commas between them; what stands in double quotes may hold commas.
pub(super) fn parse(text: &str) -> Result<Mount, String> {
    let mut words = Words(split(text)?.into_iter().map(pair).collect());
    let kind = words.value(&["type"])?.unwrap_or_else(|| "volume".to_owned());
    let target = words.value(&["target", "destination", "dst"])?;
    let target = inside(&target.ok_or_else(|| wrong("it has no target"))?)?;
    // It has no meaning here, and is right all the same.
    if let Some(word) = words.value(&["consistency"])?.filter(|word| word != "default")
        && !CONSISTENCY.contains(&word.as_str())
    {
        let known = "default, consistent, cached and delegated";
        return Err(wrong(&format!("'consistency={word}' is none of {known}")));
    }
    let mount = match kind.as_str() {
        "bind" => {
            let source = words.value(&["source", "src"])?.ok_or_else(|| wrong("a bind needs a source"))?;
            Mount::Bind(BindMount {
                source: on_this_machine(&source)?,
                target,
                read_only: words.flag(&["readonly", "ro"])?,
                strict: true,
                propagation: propagation(&mut words)?,
                recursive: recursive(&mut words)?,
                idmap: words.flag(&["idmap"])?,
                relabel: None,
            })
        }
        "volume" => Mount::Volume(VolumeMount {
            name: words.value(&["source", "src"])?,
            target,
            read_only: words.flag(&["readonly", "ro"])?,
            subpath: words.value(&["volume-subpath", "subpath"])?.map(PathBuf::from),
            no_copy: words.flag(&["volume-nocopy"])?,
            driver: words.value(&["volume-driver"])?,
            options: words.pairs("volume-opt")?,
            labels: words.labels("volume-label")?,
            idmap: words.flag(&["idmap"])?,
            relabel: None,
        }),
        "image" => {
            let image = words.value(&["source", "src"])?.ok_or_else(|| wrong("an image needs a source"))?;
            let (writable, read_only) = (words.flag(&["rw", "readwrite"])?, words.flag(&["readonly", "ro"])?);
            if writable && read_only {
                return Err(wrong("'rw' and 'readonly' do not agree"));
            }
            let subpath = words.value(&["image-subpath", "subpath"])?.map(PathBuf::from);
            Mount::Image(ImageMount { image, target, subpath, writable })
        }
        "tmpfs" => {
            let mut options = Vec::new();
            if let Some(size) = words.value(&["tmpfs-size"])? {
                options.push(format!("size={}", memory(&size)?));
            }
            options.extend(words.value(&["tmpfs-mode"])?.map(|mode| format!("mode={mode}")));
            options.extend(words.flag(&["readonly", "ro"])?.then(|| "ro".to_owned()));
            Mount::Tmpfs(TmpfsMount { target, options })
        }
        _ => return Err(wrong(&format!("'{kind}' is none of the types bind, volume, image and tmpfs"))),
    };
    words.end(&kind)?;
    Ok(mount)
}

/// Where mounts show that are made later.
fn propagation(words: &mut Words) -> Result<Propagation, String> {
    let Some(word) = words.value(&["bind-propagation"])? else { return Ok(Propagation::default()) };
    let unknown = || {
        wrong(&format!(
            "'bind-propagation={word}' is none of private, rprivate, slave, rslave, shared and rshared"
        ))
    };
    Propagation::of_word(&word).ok_or_else(unknown)
}

/// What becomes of mounts below the source.
fn recursive(words: &mut Words) -> Result<Recursive, String> {
    let alone = words.flag(&["bind-nonrecursive"])?;
    let recursive = match words.value(&["bind-recursive"])?.as_deref() {
        None if alone => Recursive::Disabled,
        None | Some("enabled") => Recursive::Enabled,
        Some("disabled") => Recursive::Disabled,
        Some("writable") => Recursive::Writable,
        Some("readonly") => Recursive::ReadOnly,
        Some(other) => {
            let known = "enabled, disabled, writable and readonly";
            return Err(wrong(&format!("'bind-recursive={other}' is none of {known}")));
        }
    };
    match alone && recursive != Recursive::Disabled {
        true => Err(wrong("'bind-nonrecursive' and 'bind-recursive' do not agree")),
        false => Ok(recursive),
    }
}

fn pair(word: String) -> (String, Option<String>) {
    match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word, None),
    }
}

/// As a line of CSV (RFC 4180): a field that begins with a double quote goes to the next one, and two of them in it are one.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        let (word, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let (word, behind) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                if word.contains('"') {
                    return Err(wrong(&format!(
                        "'{word}' has a double quote in it: those stand around all of a word"
                    )));
                }
                (word.to_owned(), behind)
            }
        };
        words.push(word);
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(words),
        }
    }
}

/// What stands before the closing quote, and what is behind it: nothing, or a comma and the next fields.
fn quoted_field(text: &str) -> Result<(String, &str), String> {
    let (mut word, mut rest) = (String::new(), text);
    loop {
        let (part, behind) = rest.split_once('"').ok_or_else(|| wrong("a double quote is not closed"))?;
        word.push_str(part);
        match behind.strip_prefix('"') {
            Some(next) => {
                word.push('"');
                rest = next;
            }
            None if behind.is_empty() || behind.starts_with(',') => return Ok((word, behind)),
            None => return Err(wrong(&format!("behind '{word}' in double quotes there is no comma"))),
        }
    }
}

fn wrong(what: &str) -> String {
    format!(
        "{what}; write it like type=volume,source=data,target=/data or type=bind,source=/srv/data,target=/data,readonly"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_words() {
        assert_eq!(
            parse("type=bind,src=/a,dst=/b,ro,bind-propagation=rprivate"),
            Ok(Mount::Bind(BindMount { strict: true, ..BindMount::new("/a", "/b").read_only() }))
        );
        assert_eq!(parse("source=data,target=/b"), Ok(Mount::Volume(VolumeMount::named("data", "/b"))));
        assert_eq!(parse("type=volume,destination=/b"), Ok(Mount::Volume(VolumeMount::anonymous("/b"))));
        let full = VolumeMount {
            read_only: true,
            no_copy: true,
            driver: Some("local".into()),
            options: [("o".to_owned(), "a,b=\"c\"".to_owned())].into(),
            labels: [("stage", "test=1"), ("bare", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ..VolumeMount::named("data", "/b")
        };
        let text = r#"type=volume,src=data,dst=/b,readonly=true,volume-nocopy,volume-driver=local,consistency=cached,"volume-opt=o=a,b=""c""",volume-label=stage=test=1,volume-label=bare"#;
        assert_eq!(parse(text), Ok(Mount::Volume(full)));
        let bind = |words: &str| match parse(&format!("type=bind,src=/a,dst=/b,{words}")) {
            Ok(Mount::Bind(bind)) => (bind.propagation, bind.recursive, bind.idmap),
            other => panic!("{words}: {other:?}"),
        };
        let (enabled, rprivate) = (Recursive::Enabled, Propagation::RPrivate);
        assert_eq!(bind("bind-propagation=rslave"), (Propagation::RSlave, enabled, false));
        assert_eq!(bind("ro,bind-recursive=writable"), (rprivate, Recursive::Writable, false));
        assert_eq!(bind("idmap,bind-nonrecursive"), (rprivate, Recursive::Disabled, true));
        assert_eq!(bind("bind-recursive=enabled,idmap=false"), (rprivate, enabled, false));
        for word in ["volume-subpath", "subpath"] {
            let part = VolumeMount { subpath: Some("a/b".into()), ..VolumeMount::named("data", "/b") };
            assert_eq!(parse(&format!("src=data,dst=/b,{word}=a/b")), Ok(Mount::Volume(part)));
        }
        let image = |subpath: Option<&str>, writable| {
            let (image, target) = ("/img".to_owned(), "/b".into());
            Ok(Mount::Image(ImageMount { image, target, subpath: subpath.map(Into::into), writable }))
        };
        assert_eq!(parse("type=image,src=/img,dst=/b"), image(None, false));
        assert_eq!(parse("type=image,src=/img,dst=/b,rw,subpath=a"), image(Some("a"), true));
        assert_eq!(parse("type=image,src=/img,dst=/b,ro,image-subpath=a"), image(Some("a"), false));
        let tmpfs =
            TmpfsMount { target: "/t".into(), options: vec!["size=1048576".into(), "mode=700".into()] };
        assert_eq!(parse("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700"), Ok(Mount::Tmpfs(tmpfs)));
    }

    #[test]
    fn everything_else_is_refused_with_an_example() {
        for text in [
            "",
            "type=bind,src=/a",
            "type=bind,dst=/b",
            "type=bind,src=a,dst=/b",
            "type=bind,src=/a,dst=b",
            "type=bind,src=/a,dst=/b,volume-nocopy",
            "type=bind,src=/a,dst=/b,bind-propagation=rshare",
            "type=bind,src=/a,dst=/b,bind-recursive=sometimes",
            "type=bind,src=/a,dst=/b,bind-recursive=enabled,bind-nonrecursive",
            "src=data,dst=/b,bind-propagation=rslave",
            "type=nfs,dst=/b",
            "type=image,dst=/b",
            "type=image,src=/img,dst=/b,rw,ro",
            "type=tmpfs,dst=/b,src=/a",
            "type=volume,src=,dst=/b",
            "type=volume,src=data,dst=/b,subpath=",
            "type=bind,src=/a,dst=/b,subpath=a",
            "dst=/b,ro=maybe",
            "dst=/b,volume-opt=x",
            "dst=/b,\"x",
            "dst=/b,src=\"a,b\"",
            "dst=/b,src=a\"",
            "dst=/b,\"src=a\"b",
            "\"dst=/b\" ,src=a",
            "dst=/b,consistency=soon",
            "dst=/b,consistency",
            "dst=/b,volume-label==x",
            "dst=/b,volume-label",
            "type=bind,src=/a,dst=/b,volume-label=a=b",
            "dst=/b,",
        ] {
            let message = parse(text).expect_err(text);
            assert!(message.contains("write it like "), "{text}: {message}");
        }
        assert!(parse("type=tmpfs,dst=/t,tmpfs-size=much").is_err());
    }
}
