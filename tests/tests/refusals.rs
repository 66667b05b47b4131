//! Bad input: one clear line, the right exit code, and nothing left.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::{Env, Output, paths, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Requires a refusal in one line that holds all these parts, and that nothing is there afterwards.
#[track_caller]
fn refused(env: &Env, words: &[&str], code: i32, parts: &[&str]) -> Output {
    let output = env.tinyd(words.iter().copied()).fails(code);
    assert_eq!(output.stdout(), "", "{output}");
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    assert!(output.stderr().starts_with("tinyd: "), "{output}");
    for part in parts {
        assert!(output.stderr().contains(part), "no {part:?}: {output}");
    }
    assert!(env.containers().is_empty(), "a container was left: {output}");
    output
}

#[test]
fn processor_time_outside_its_range_is_refused_with_the_range() {
    require!(root);
    let env = Env::new();
    let image = image();
    for value in ["9999", "100001", "abc", "0", "-1", "", "10000.5", "1e5", "99999999999999999999"] {
        for verb in ["run", "create"] {
            let option = format!("--cpu={value}");
            refused(&env, &[verb, &option, &image, "true"], 125, &["10000", "100000"]);
        }
    }
    for value in ["0", "-1", "x", "0.001", ""] {
        refused(&env, &["run", &format!("--cpus={value}"), &image, "true"], 125, &["number of processors"]);
    }
    refused(&env, &["run", "--cpu", "10000", "--cpus", "1", &image, "true"], 125, &["cannot be used with"]);
    for value in ["10000", "100000"] {
        env.tinyd(["run", "--rm", "--cpu", value, &image, "true"]).ok();
    }
    env.assert_clean();
}

#[test]
fn sizes_that_are_none_are_refused() {
    require!(root);
    let env = Env::new();
    let image = image();
    for value in ["1x", "abc", "", "-1", "0", "m", "100mm", "1..5g", "99999999999t"] {
        for option in ["--mem", "--memory"] {
            refused(&env, &["run", &format!("{option}={value}"), &image, "true"], 125, &[]);
        }
    }
    refused(&env, &["run", "-m", "1x", &image, "true"], 125, &["100m"]);
    refused(&env, &["run", "--mem", "1m", &image, "true"], 125, &["least"]);
    for value in ["0", "-2", "x", ""] {
        let option = format!("--pids-limit={value}");
        refused(&env, &["run", &option, &image, "true"], 125, &["at least 1, or -1"]);
    }
    env.assert_clean();
}

#[test]
fn a_missing_command_has_its_own_words() {
    require!(root);
    let env = Env::new();
    let image = image();
    for words in [
        &["run"][..],
        &["run", "-ti"],
        &["run", "host"],
        &["run", &image],
        &["run", "--rm", &image],
        &["run", "-i", &image],
        &["run", "-d", "-m", "100m", "host"],
        &["run", &image, ""],
        &["create", &image],
    ] {
        refused(&env, words, 125, &["Missing container command"]);
    }
    env.assert_clean();
}

#[test]
fn an_image_that_is_nowhere_is_named() {
    require!(root);
    let env = Env::new();
    for word in ["no-such-image", "/no/such/folder", "./relative", ""] {
        refused(&env, &["run", word, "sh"], 125, &["image"]);
        refused(&env, &["run", "-i", "no-such-image", "sh"], 125, &["no-such-image"]);
    }
    let file = env.file("file", "x");
    refused(&env, &["run", "-i", file.to_str().unwrap(), "sh"], 125, &["image"]);
    env.assert_clean();
}

#[test]
fn other_mistakes_are_told_before_anything_is_made() {
    require!(root);
    let env = Env::new();
    let image = image();
    for (words, part) in [
        (&["run", "--naem", "c1", &image, "true"][..], "--name"),
        (&["run", "--userns", "maybe", &image, "true"], "auto"),
        (&["run", "--net", "no-such-net", &image, "true"], "no-such-net"),
        (&["run", "-v", "relative/folder:/x", &image, "true"], "relative"),
        (&["run", "-v", "/tmp:relative", &image, "true"], "relative"),
        (&["run", "-v", "/tmp:/x:odd", &image, "true"], "odd"),
        (&["run", "-v", "tmp", &image, "true"], "tmp"),
        (&["run", "--mount", "type=bind,src=/tmp", &image, "true"], "target"),
        (&["run", "--volumes-from", ":ro", &image, "true"], "db:ro"),
        (&["run", "-v", "/tmp:/x", "-v", "/usr:/x", &image, "true"], "/x"),
        (&["run", "-e", "=x", &image, "true"], "=x"),
        (&["run", "--env-file", "/no/such/file", &image, "true"], "/no/such/file"),
        (&["run", "-w", "relative", &image, "true"], "relative"),
        (&["run", "--hostname", "a b", &image, "true"], "a b"),
        (&["run", "--hostname", &"h".repeat(65), &image, "true"], "64"),
        (&["exec"], "container"),
    ] {
        refused(&env, words, 125, &[part]);
    }
    for (words, part) in [
        (&["frobnicate"][..], "frobnicate"),
        (&["stop"], "CONTAINER"),
        (&["stop", "-t", "soon", "c1"], "soon"),
        (&["stop", "--nonsense", "c1"], "--nonsense"),
        (&["logs", "--tail", "few", "c1"], "few"),
        (&["logs", "--since", "yesteryear", "c1"], "yesteryear"),
        (&["ps", "--filter", "colour=red"], "name="),
        (&["ps", "--format", "{{.ID"], "{{"),
        (&["inspect"], "CONTAINER"),
    ] {
        refused(&env, words, 2, &[part]);
    }
    env.assert_clean();
}

#[test]
fn init_is_refused_politely_and_is_in_no_help() {
    require!(program);
    let env = Env::new();
    refused(&env, &["init"], 1, &["not to be called by hand"]);
    refused(&env, &["init", "sh", "-c", "echo inside"], 1, &["not to be called by hand"]);
    let runtime = paths::tinyd().with_file_name("tinyd-runtime");
    for words in [&["init"][..], &["init", "sh"], &["monitor"], &["enter"], &["mount"]] {
        let all = [runtime.to_str().unwrap()].into_iter().chain(words.iter().copied());
        let output = env.other(all).output().fails(2);
        assert_eq!(output.stdout(), "", "{output}");
        assert!(output.stderr().contains("internal"), "{output}");
        assert_eq!(output.stderr().lines().count(), 1, "{output}");
    }
    let help = |words: &[&str]| env.tinyd(words.iter().copied()).ok().stdout();
    let runtime_help = env.other([runtime.to_str().unwrap(), "--help"]).output().ok().stdout();
    for text in [help(&["--help"]), help(&["help"]), help(&["help", "run"]), runtime_help] {
        // As a verb stands in a list; the option --init, and what is said of it, may be there.
        let lists = |word: &str| text.lines().any(|line| line.split_whitespace().next() == Some(word));
        assert!(text.contains("tinyd") && !lists("init"), "{text}");
    }
    env.tinyd(["help", "init"]).fails(2);
}

#[test]
fn without_root_it_is_said_in_a_line() {
    require!(root);
    require!(command "setpriv");
    let env = Env::new();
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    for verb in [&["run", "--rm", "host", "true"][..], &["ps"]] {
        let output = env.cmd(verb.iter().copied()).under(words).output();
        assert!(matches!(output.code(), Some(1 | 125)), "{output}");
        assert!(output.stderr().contains("needs root"), "{output}");
        assert_eq!((output.stderr().lines().count(), output.stdout()), (1, String::new()), "{output}");
    }
    env.assert_clean();
}

#[test]
fn the_version_is_told_for_people_and_programs() {
    require!(root);
    let env = Env::new();
    let version = env!("CARGO_PKG_VERSION");
    let text = env.tinyd(["version"]).ok().stdout();
    assert!(text.contains("Client:") && text.contains("Engine:") && text.contains(version), "{text}");
    let json = env.tinyd(["version", "--format", "json"]).ok().json();
    assert_eq!(json["Client"]["Version"], version);
    assert_eq!(json["Server"]["Version"], version);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(json["Server"]["KernelVersion"], kernel.trim());
    let one = env.tinyd(["version", "-f", "{{.Server.Version}}"]).ok();
    assert_eq!(one.stdout(), format!("{version}\n"));
    assert_eq!(env.tinyd(["--version"]).ok().stdout(), format!("tinyd {version}\n"));
}
